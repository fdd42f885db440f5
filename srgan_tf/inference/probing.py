"""Find scale and receptive field of models that do not declare them. Importing this needs no TensorFlow."""

import numpy as np

from srgan_tf.errors import WeightsError
from srgan_tf.inference.runners import first_line

PROBE = 16  # px: side of the black picture whose SR shows a model's scale
_FURTHEST = 64  # LR px: the largest receptive field that `measure_context` finds


def probe_scale(run, source, size: tuple[int, int] = (PROBE, PROBE)) -> int:
    """Return the scale at which a model enlarges a black picture.

    Args:
        run: a function of uint8 LR [1, height, width, 3].
        source: for errors.
        size: height and width of the picture.

    Raises:
        WeightsError: it does not run, or does not return an enlarged picture.
    """
    try:
        made = np.shape(run(np.zeros((1, *size, 3), np.uint8)))
    except Exception as error:  # a foreign model may raise anything
        picture = f"a picture of {size[0]}x{size[1]} px"
        raise WeightsError(f"{source}: does not run on {picture} ({first_line(error)})") from None
    scale = made[1] // size[0] if len(made) == 4 else 0
    if not scale or made != (1, scale * size[0], scale * size[1], 3):
        raise WeightsError(f"{source}: no super-resolution model: it turns {[1, *size, 3]} into {list(made)}")
    return scale


def measure_context(run, scale: int) -> int:
    """Return beyond how many LR pixels a model's SR no longer depends on LR, by bisection on noise."""
    side, rng = 2 * _FURTHEST + 1, np.random.default_rng(0)
    one, other = rng.integers(0, 256, (2, 1, side, side, 3), np.uint8)
    middle = slice(scale * (_FURTHEST - 2), scale * (_FURTHEST + 3))
    wanted = run(one)[:, middle, middle]
    low, high = 0, _FURTHEST
    while high - low > 2:
        reach = (low + high) // 2
        around, inner = other.copy(), slice(_FURTHEST - 2 - reach, _FURTHEST + 3 + reach)
        around[:, inner, inner] = one[:, inner, inner]
        same = np.array_equal(run(around)[:, middle, middle], wanted)
        low, high = (low, reach) if same else (reach, high)
    return high
