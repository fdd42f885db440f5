"""Synthetic LR degradations: Real-ESRGAN's and a milder one, in TensorFlow, on the training device.

`degrade`: blur, resize, noise and JPEG, twice, with a sinc filter for the ringing of sharpened pictures (Wang et al.
2021, arXiv 2107.10833, section 3 and figure 2). The numbers are those of its section 4.1 and of the authors' published
options; as there, sizes and kinds are drawn once per batch, strengths once per picture.

`degrade_everyday`: what phones and messengers do to photographs: milder than the second order in the median.

`shrink`: clean pictures, shrunk by area and bilinear interpolation as well as by MATLAB's bicubic.
"""

import math

import tensorflow as tf

from srgan_tf.data.bicubic import downscale
from srgan_tf.data.levels import LUMA
from srgan_tf.io.jpeg import CHROMA_STEPS, LUMA_STEPS

SIZE = 21  # px: kernels are 7, 9, … 21 wide
FIRST = {"sigma": (0.2, 3.0), "resize": (0.15, 1.5), "up": 0.2, "down": 0.7, "noise": (1.0, 30.0), "shot": (0.05, 3.0)}
SECOND = {"sigma": (0.2, 1.5), "resize": (0.3, 1.2), "up": 0.3, "down": 0.4, "noise": (1.0, 25.0), "shot": (0.05, 2.5)}
QUALITY = (30.0, 95.0)
# Rows are the cosines of the 8-point discrete transform.
_COSINES = [[math.cos((2 * j + 1) * i * math.pi / 16) / (2 if i else 8**0.5) for j in range(8)] for i in range(8)]
_TO_YCC = ((0.299, -0.168736, 0.5), (0.587, -0.331264, -0.418688), (0.114, 0.5, -0.081312))
_TO_RGB = ((1.0, 1.0, 1.0), (0.0, -0.344136, 1.772), (1.402, -0.714136, 0.0))


class _Draws:
    """Random numbers as a function of the seed and the number of draws before."""

    def __init__(self, seed):
        self.seed, self.count = tf.cast(seed, tf.int32), 0

    def next(self) -> tf.Tensor:
        self.count += 1
        return tf.random.experimental.stateless_fold_in(self.seed, self.count)

    def uniform(self, shape, low=0.0, high=1.0) -> tf.Tensor:
        return tf.random.stateless_uniform(shape, self.next(), low, high)

    def choice(self, shape, *weights: float) -> tf.Tensor:
        """Draw indices with these weights."""
        bounds = tf.cumsum(tf.constant(weights, tf.float32))
        drawn = tf.reshape(self.uniform(shape, 0.0, bounds[-1]), [-1])
        return tf.searchsorted(bounds[:-1], drawn, "right")


def degrade(hr, scale: int, seed) -> tf.Tensor:
    """Make LR of HR.

    Args:
        hr: uint8 [batch, height, width, 3] in 0-255, sides multiples of scale and at least 8 * scale.
        scale: HR size over LR size.
        seed: two integers; the same give the same LR.

    Returns:
        uint8 [batch, height / scale, width / scale, 3].
    """
    draws = _Draws(seed)
    height, width = tf.shape(hr)[1], tf.shape(hr)[2]
    small = tf.stack([height // scale, width // scale])
    x = tf.cast(hr, tf.float32) / 255
    n = tf.shape(x)[0]
    x = blur(x, _kernels(draws, n, FIRST["sigma"]))
    x = _noise(draws, _random_resize(draws, x, tf.stack([height, width]), FIRST), FIRST)
    x = jpeg(x, draws.uniform([n], *QUALITY))
    kernels = _kernels(draws, n, SECOND["sigma"])
    x = tf.where(draws.uniform([n, 1, 1, 1]) < 0.8, blur(x, kernels), x)
    x = _noise(draws, _random_resize(draws, x, small, SECOND), SECOND)

    sinc = tf.where(draws.uniform([n, 1, 1]) < 0.8, _sinc_kernels(draws, n, math.pi / 3), _identity())
    quality, kind = draws.uniform([n], *QUALITY), draws.choice([], 1, 1, 1)[0]
    last = draws.uniform([]) < 0.5  # the sinc filter after JPEG, or before it

    def finish(x):
        return tf.clip_by_value(blur(_resize(x, small, kind), sinc), 0, 1)

    x = tf.cond(last, lambda: finish(jpeg(x, quality)), lambda: jpeg(finish(x), quality))
    return _to_levels(x, hr, scale)


def degrade_everyday(hr, scale: int, seed) -> tf.Tensor:
    """Make LR of HR as phones and messengers do; see `degrade`.

    Half the pictures are blurred by a Gaussian of 0.3 to 2.7 HR pixels; all are shrunk by area, bilinear or bicubic
    interpolation with antialiasing; half get Gaussian noise up to 15/255, mostly less; 80% are coded as JPEG of quality
    40 to 97.
    """
    draws = _Draws(seed)
    small = tf.shape(hr)[1:3] // scale
    x = tf.cast(hr, tf.float32) / 255
    n = tf.shape(x)[0]
    sigma = 0.3 + 2.4 * draws.uniform([n]) ** 1.2
    no, one = tf.zeros([n], tf.bool), tf.ones([n])
    kernels = gaussian_kernels(sigma, sigma, tf.zeros([n]), one, no, _half_sizes(draws, n))
    x = tf.where(draws.uniform([n, 1, 1, 1]) < 0.5, blur(x, kernels), x)
    x = tf.clip_by_value(_resize(x, small, draws.choice([], 1, 1, 1)[0], antialias=True), 0, 1)
    strength = 15 * draws.uniform([n]) ** 1.3 / 255 * tf.cast(draws.uniform([n]) < 0.5, tf.float32)
    noise = tf.random.stateless_normal(tf.shape(x), draws.next())
    x = tf.clip_by_value(x + strength[:, None, None, None] * noise, 0, 1)
    x = tf.where(draws.uniform([n, 1, 1, 1]) < 0.8, jpeg(x, draws.uniform([n], 40.0, 97.0)), x)
    return _to_levels(x, hr, scale)


def shrink(hr, scale: int, seed) -> tf.Tensor:
    """Make LR of HR as software shrinks clean pictures; see `degrade`.

    Half of the batches by MATLAB's bicubic, a quarter by area, a quarter by bilinear interpolation with antialiasing.
    """
    kind = _Draws(seed).choice([], 2, 1, 1)[0]

    def otherwise():
        x = _resize(tf.cast(hr, tf.float32) / 255, tf.shape(hr)[1:3] // scale, kind - 1, antialias=True)
        return _to_levels(x, hr, scale)

    return tf.cond(kind == 0, lambda: downscale(hr, scale), otherwise)


def _to_levels(x: tf.Tensor, hr, scale: int) -> tf.Tensor:
    """[0, 1] → uint8, rounded half up, with HR's static shape divided by scale."""
    x = tf.ensure_shape(x, [hr.shape[0], *(side and side // scale for side in hr.shape[1:3]), 3])
    return tf.cast(tf.floor(tf.clip_by_value(x, 0, 1) * 255 + 0.5), tf.uint8)


def blur(x: tf.Tensor, kernels: tf.Tensor) -> tf.Tensor:
    """Correlate each picture [batch, height, width, 3] with its kernel [batch, size, size]; borders mirrored."""
    n, size = tf.shape(x)[0], kernels.shape[1]
    for axis in (1, 2):
        side = tf.shape(x)[axis]
        index = tf.math.floormod(tf.range(-(size // 2), side + size // 2), tf.maximum(2 * side - 2, 1))
        x = tf.gather(x, tf.minimum(index, 2 * side - 2 - index), axis=axis)
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    # Pictures become channels: a depthwise convolution has one kernel per channel.
    channels = tf.reshape(tf.transpose(x, [1, 2, 0, 3]), [1, height, width, 3 * n])
    filters = tf.repeat(tf.transpose(kernels, [1, 2, 0]), 3, axis=2)[..., None]
    y = tf.nn.depthwise_conv2d(channels, filters, [1, 1, 1, 1], "VALID")
    return tf.transpose(tf.reshape(y, [height - size + 1, width - size + 1, n, 3]), [2, 0, 1, 3])


def _grid() -> tuple[tf.Tensor, tf.Tensor]:
    """Return row and column of each tap relative to the centre, [1, SIZE, SIZE]."""
    axis = tf.range(-(SIZE // 2), SIZE // 2 + 1, dtype=tf.float32)
    rows, columns = tf.meshgrid(axis, axis, indexing="ij")
    return rows[None], columns[None]


def _identity() -> tf.Tensor:
    rows, columns = _grid()
    return tf.cast((rows == 0) & (columns == 0), tf.float32)


def _normalised(kernels: tf.Tensor, half: tf.Tensor) -> tf.Tensor:
    """Crop to 2 * half + 1 taps per side, and normalise to a sum of 1."""
    rows, columns = _grid()
    kernels = tf.where(tf.maximum(abs(rows), abs(columns)) <= half[:, None, None], kernels, 0.0)
    return kernels / tf.reduce_sum(kernels, [1, 2], keepdims=True)


def gaussian_kernels(sigma_x, sigma_y, angle, beta, plateau, half) -> tf.Tensor:
    """exp(-q^β / 2), or where `plateau` 1 / (1 + q^β), q = Cᵀ Σ⁻¹ C (equations 2 and 3); arguments are [batch]."""
    rows, columns = _grid()
    angle, beta = angle[:, None, None], beta[:, None, None]
    along = (tf.cos(angle) * columns + tf.sin(angle) * rows) / sigma_x[:, None, None]
    across = (tf.cos(angle) * rows - tf.sin(angle) * columns) / sigma_y[:, None, None]
    q = (along**2 + across**2) ** beta
    return _normalised(tf.where(plateau[:, None, None], 1 / (1 + q), tf.exp(-q / 2)), half)


def sinc_kernels(cutoff, half) -> tf.Tensor:
    """ω J₁(ω r) / (2 π r), the circular low-pass filter of cutoff ω [batch] in radians a pixel (equation 6)."""
    rows, columns = _grid()
    cutoff = cutoff[:, None, None]
    r = tf.sqrt(rows**2 + columns**2)
    kernels = cutoff * tf.math.special.bessel_j1(cutoff * r) / (2 * math.pi * tf.maximum(r, 0.5))
    return _normalised(tf.where(r == 0, cutoff**2 / (4 * math.pi), kernels), half)


def _half_sizes(draws: _Draws, n) -> tf.Tensor:
    return 3 + tf.floor(draws.uniform([n], 0.0, 8.0))  # 3, 4, … 10


def _sinc_kernels(draws: _Draws, n, lowest: float) -> tf.Tensor:
    return sinc_kernels(draws.uniform([n], lowest, math.pi), _half_sizes(draws, n))


def _kernels(draws: _Draws, n, sigma: tuple[float, float]) -> tf.Tensor:
    """Draw kernels: Gaussian 70%, generalised 15%, plateau 15% (isotropic: 45, 12 and 12%); 10% become sinc."""
    kind = draws.choice([n], 0.45, 0.25, 0.12, 0.03, 0.12, 0.03)
    x, y = draws.uniform([n], *sigma), draws.uniform([n], *sigma)
    angle = draws.uniform([n], -math.pi, math.pi)
    beta = tf.where(kind >= 4, draws.uniform([n], 1.0, 2.0), draws.uniform([n], 0.5, 4.0))
    beta = tf.where(kind < 2, 1.0, beta)
    half = _half_sizes(draws, n)
    gaussian = gaussian_kernels(x, tf.where(kind % 2 == 0, x, y), angle, beta, kind >= 4, half)
    sinc = _sinc_kernels(draws, n, math.pi / 3)
    return tf.where(draws.uniform([n, 1, 1]) < 0.1, sinc, gaussian)


def _resize(x, size, kind, antialias: bool = False) -> tf.Tensor:
    """Resize to size [2]; kind 0: area, 1: bilinear, 2: bicubic."""
    methods = ("area", "bilinear", "bicubic")
    return tf.switch_case(kind, [lambda m=m: tf.image.resize(x, size, m, antialias=antialias) for m in methods])


def _random_resize(draws: _Draws, x, size, ranges: dict) -> tf.Tensor:
    """Resize to a random multiple of size [2], up, down or unchanged, once per batch."""
    direction = draws.choice([], ranges["up"], ranges["down"], 1 - ranges["up"] - ranges["down"])[0]
    low, high = ranges["resize"]
    up, down = draws.uniform([], 1.0, high), draws.uniform([], low, 1.0)
    factor = tf.switch_case(direction, [lambda: up, lambda: down, lambda: 1.0])
    size = tf.maximum(tf.cast(tf.cast(size, tf.float32) * factor, tf.int32), 1)
    return _resize(x, size, draws.choice([], 1, 1, 1)[0])


def _noise(draws: _Draws, x, ranges: dict) -> tf.Tensor:
    """Add Gaussian (σ in levels of 255) or Poisson noise, half the batches each; grey noise in 40% of the pictures."""
    n = tf.shape(x)[0]
    grey = draws.uniform([n, 1, 1, 1]) < 0.4
    x = tf.clip_by_value(x, 0, 1)

    def gaussian():
        sigma = draws.uniform([n, 1, 1, 1], *ranges["noise"]) / 255
        noise = tf.random.stateless_normal(tf.shape(x), draws.next())
        return sigma * tf.where(grey, noise[..., :1], noise)

    def poisson():
        # 256 counts at white, as in 8-bit pictures.
        mean = 256 * tf.where(grey, tf.reduce_sum(x * LUMA, -1, keepdims=True), x)
        counts = tf.random.stateless_poisson(tf.shape(x), draws.next(), mean, tf.float32)
        noise = (counts - mean) / 256
        return draws.uniform([n, 1, 1, 1], *ranges["shot"]) * tf.where(grey, noise[..., :1], noise)

    return tf.clip_by_value(x + tf.cond(draws.uniform([]) < 0.5, gaussian, poisson), 0, 1)


def jpeg(x: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
    """Apply JPEG with 4:2:0 chroma and libjpeg's quality [batch], 1-100, to pictures [batch, h, w, 3] in [0, 1]."""
    height, width = tf.shape(x)[1], tf.shape(x)[2]
    for axis, side in ((1, height), (2, width)):
        x = tf.gather(x, tf.minimum(tf.range(-(-side // 16) * 16), side - 1), axis=axis)
    ycc = tf.einsum("bhwc,cd->bhwd", tf.round(tf.clip_by_value(x, 0, 1) * 255), tf.constant(_TO_YCC))
    percent = tf.where(quality < 50, 5000 / quality, 200 - 2 * quality)[:, None]

    basis = tf.constant(_COSINES)

    def coded(plane, table):
        steps = tf.clip_by_value(tf.floor((tf.constant(table, tf.float32) * percent + 50) / 100), 1, 255)
        n, rows, columns = tf.shape(plane)[0], tf.shape(plane)[1] // 8, tf.shape(plane)[2] // 8
        blocks = tf.reshape(tf.round(plane), [n, rows, 8, columns, 8])
        steps = tf.reshape(steps, [n, 1, 8, 1, 8])
        numbers = tf.round(tf.einsum("ui,brick,vk->brucv", basis, blocks, basis) / steps)
        blocks = tf.einsum("ui,brucv,vk->brick", basis, numbers * steps, basis)
        return tf.reshape(tf.round(blocks), [n, rows * 8, columns * 8])

    chroma = tf.nn.avg_pool2d(ycc[..., 1:], 2, 2, "VALID")
    luma = coded(ycc[..., 0] - 128, LUMA_STEPS) + 128
    chroma = tf.stack([coded(chroma[..., 0], CHROMA_STEPS), coded(chroma[..., 1], CHROMA_STEPS)], -1)
    chroma = tf.image.resize(chroma, tf.shape(luma)[1:])
    rgb = tf.einsum("bhwd,dc->bhwc", tf.concat([luma[..., None], chroma], -1), tf.constant(_TO_RGB))
    return (tf.clip_by_value(tf.round(rgb), 0, 255) / 255)[:, :height, :width]
