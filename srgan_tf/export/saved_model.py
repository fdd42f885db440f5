"""Export a generator as a SavedModel for TensorFlow Serving: stock operations, named signatures, atomic versions."""

import os
import shutil
import tempfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan_tf.data.levels import to_lr_range, to_uint8
from srgan_tf.errors import ExportError
from srgan_tf.export import metadata
from srgan_tf.inference.fast import PIECE, FastGraph
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.io import files, images
from srgan_tf.models.ops import in_whole_blocks

MAX_PIXELS = 1920 * 1088  # LR pixels per request; the response has scale² * 3 bytes per pixel
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"  # first bytes
TILE = 512  # LR px per side of the trunk's tiles: a request of 600 x 800 took 0.16 GB (paper's generator)

_CARD = """# {name}

Super-resolution x{scale} by srgan_tf: {size}, receptive field {context} LR px per side. RGB, sRGB values.
Licence of the weights: {licence}.{origin}

Signatures, any batch, height and width, at most {limit:,} LR pixels per request; more is refused (INVALID_ARGUMENT):

- `serving_default`: `lr` uint8 [n, h, w, 3] → `sr` uint8 [n, {scale}h, {scale}w, 3], rounded half up
- `float`: `lr` float32 [n, h, w, 3] in [0, 1] → `sr` float32 in [0, 1]
- `encoded`: `lr_bytes` string [n], PNG or JPEG, sizes may differ → `sr_bytes` string [n], PNG

EXIF is not read: apply a photo's orientation before sending it. Colour profiles and alpha are dropped, 16 bit becomes
8. Large pictures run in tiles of {tile} px inside the graph, without seams.
"""


def write(generator, base, name: str = "generator", max_pixels: int = MAX_PIXELS, check=None, about: str = "") -> Path:
    """Write the next free version of a model as `base/<version>/`, where TensorFlow Serving polls `base`.

    Args:
        generator: of any registered class, size and scale.
        base: the model's folder, made where it is missing.
        name: of the model, for its card.
        max_pixels: LR pixels per request (batch * height * width); the model refuses larger ones.
        check: called with the folder before it gets its version's name; an error keeps it from that.
        about: the weights, for the end of the card.

    Returns:
        The version's folder, which appears there whole or not at all.

    Raises:
        ExportError: it cannot be written.
    """
    try:
        with _next_version(Path(base)) as (folder, published), tempfile.TemporaryDirectory() as scratch:
            module = _Served(generator, max_pixels)
            card = Path(scratch) / "model_card.md"
            card.write_text("\n".join(filter(None, (_card(generator, name, max_pixels), about))), encoding="utf-8")
            info = ModelInfo.of(generator, "saved_model").asset(Path(scratch))
            module.assets = [tf.saved_model.Asset(str(path)) for path in (card, info)]
            signatures = module.signatures()
            tf.saved_model.save(module, str(folder), signatures)
            _write_warmup(signatures, folder / "assets.extra" / "tf_serving_warmup_requests")
            if check:
                check(folder)
    except (OSError, tf.errors.OpError) as error:
        raise ExportError(f"{base}: cannot write there ({files.reason(error)})") from None
    return published()


@contextmanager
def _next_version(base: Path):
    """Yield a temporary folder, which becomes the next version if the block succeeds."""
    base.mkdir(parents=True, exist_ok=True)
    files.sweep([base])
    aside, version = Path(tempfile.mkdtemp(prefix=".partial-", dir=base)), None
    try:
        yield aside, lambda: version
        aside.chmod(0o777 & ~files.umask())  # the server may run as another user
        while version is None:
            numbers = [int(path.name) for path in base.iterdir() if path.name.isdecimal()]
            free = base / str(max(numbers, default=0) + 1)
            try:
                os.rename(aside, free)
                version = free
            except OSError:
                if not free.exists():
                    raise
                # another export took this number
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _Served(tf.Module):
    """The three signatures, with one graph for all sizes."""

    def __init__(self, generator, max_pixels: int):
        super().__init__()
        self._network, self._max_pixels = FastGraph(generator), max_pixels

    def signatures(self) -> dict:
        pictures, function = [None, None, None, 3], partial(tf.function, autograph=False)
        return {
            "serving_default": function(self.byte, [tf.TensorSpec(pictures, tf.uint8, "lr")]),
            "float": function(self.unit, [tf.TensorSpec(pictures, tf.float32, "lr")]),
            "encoded": function(self.encoded, [tf.TensorSpec([None], tf.string, "lr_bytes")]),
        }

    def byte(self, lr):
        return {"sr": self._upscale(self._bounded(lr), to_uint8, tf.uint8)}

    def unit(self, lr):
        least, most = tf.reduce_min(lr), tf.reduce_max(lr)
        text = "lr: floats from {} to {}; they must be in [0, 1] (levels / 255), none of them NaN"
        lr = _checked(lr, (least >= -0.01) & (most <= 1.01), text, least, most)
        return {"sr": self._upscale(self._bounded(lr), lambda sr: tf.clip_by_value((sr + 1) / 2, 0, 1), tf.float32)}

    def encoded(self, lr_bytes):
        numbers = tf.range(tf.size(lr_bytes))
        total = tf.reduce_sum(tf.map_fn(self._size, (numbers, lr_bytes), fn_output_signature=tf.int64))
        text = f"lr_bytes: {{}} pixels in all exceed the limit of {self._max_pixels} per request; send fewer at once"
        items = numbers, _checked(lr_bytes, total <= self._max_pixels, text, total)
        return {"sr_bytes": tf.map_fn(self._file, items, fn_output_signature=tf.string, parallel_iterations=1)}

    def _bounded(self, lr):
        pixels = tf.reduce_prod(tf.shape(lr, tf.int64)[:3])
        text = f"lr: {{}} pixels in the batch; it must hold 1 to {self._max_pixels} (tile larger pictures)"
        return _checked(lr, (pixels > 0) & (pixels <= self._max_pixels), text, pixels)

    def _upscale(self, lr, finish, dtype):
        """Return finish(SR in [-1, 1]) of pictures [n, h, w, 3] in 0-255 or [0, 1], one tile at a time."""
        network, multiple = self._network, self._network.generator.tile_multiple

        def tail(features):
            return finish(network.tail(features))

        def whole(part):
            return _in_pieces(tail, network.trunk(part), PIECE, network.tail_context, network.scale, dtype)

        def tile(part):
            part = to_lr_range(part) if part.dtype == tf.uint8 else part
            return in_whole_blocks(whole, part, multiple, network.scale)

        sr = _in_pieces(tile, lr, TILE, network.context, network.scale, dtype, multiple)
        return tf.ensure_shape(sr, [None, None, None, 3])  # for clients, which see the signature alone

    def _size(self, item):
        """Return the pixels of file i by its header; TensorFlow's decoders check no size before decoding."""
        i, data = item
        shape = _unless_broken(_header, data, tf.zeros([0], tf.int64))
        shape = _checked(shape, tf.size(shape) == 2, "lr_bytes[{}]: broken, or neither PNG nor JPEG", i)
        height, width = shape[0], shape[1]
        text = f"lr_bytes[{{}}]: {{}} x {{}} pixels; 1 to {self._max_pixels} are taken"
        inside = (height > 0) & (width > 0) & (height <= self._max_pixels // tf.maximum(width, 1))
        return _checked(height * width, inside, text, i, width, height)

    def _file(self, item):
        i, data = item
        lr = _unless_broken(_pixels, data, tf.zeros([0, 0, 3], tf.uint8))
        lr = _checked(lr, tf.size(lr) > 0, "lr_bytes[{}]: broken, does not decode", i)
        return tf.io.encode_png(self._upscale(lr[None], to_uint8, tf.uint8)[0])


def _checked(x, condition, text: str, *values):
    """Return x; at run time, fail with INVALID_ARGUMENT and the formatted text unless the condition holds."""
    with tf.control_dependencies([tf.debugging.Assert(condition, [tf.strings.format(text, values)])]):
        return tf.identity(x)


def _in_pieces(function, x, side: int, context: int, scale: int, dtype, multiple: int = 1):
    """Return function(x), [n, h, w, channels] → dtype [n, scale * h, scale * w, ...], at most side² pixels at a time.

    This is `inference.tiling` in a graph, which is traced for any size: small pictures are batched, large ones run tile
    by tile, as in `tiling.spans`.
    """
    count, height, width = (tf.shape(x)[axis] for axis in range(3))
    together = tf.maximum(1, side * side // (height * width))
    rows, columns = (_spans(size, side, context, multiple) for size in (height, width))

    def pictures(i):
        part = x[i * together : (i + 1) * together]
        return _joined(rows[0], lambda j: _joined(columns[0], lambda k: tile(part, j, k), 2, dtype), 1, dtype)

    def tile(part, j, k):
        (top, bottom, *tall), (left, right, *wide) = rows[1](j), columns[1](k)
        sr = function(part[:, top:bottom, left:right])
        tall, wide = [scale * (pixel - top) for pixel in tall], [scale * (pixel - left) for pixel in wide]
        return sr[:, tall[0] : tall[1], wide[0] : wide[1]]

    return _joined(-(-count // together), pictures, 0, dtype)


def _spans(size, window: int, context: int, multiple: int):
    """Return the number of tiles along an axis, and a function from i to start, stop, first and last of tile i."""
    step = (window - 2 * context) // multiple * multiple
    count = tf.where(size <= window, 1, -(-(size - 2 * context) // step))
    step = -(-(size - 2 * context) // (count * multiple)) * multiple
    length = tf.where(count == 1, size, step + 2 * context)

    def start(i):
        return tf.minimum(i * step, tf.maximum(size - length, 0) // multiple * multiple)

    def span(i):
        first = tf.where(i == 0, 0, start(i - 1) + context + step)
        last = tf.where(i == count - 1, size, start(i) + context + step)
        return start(i), tf.where(i == count - 1, size, start(i) + length), first, last

    return count, span


def _joined(count, make, axis: int, dtype):
    """Concatenate make(0), make(1), … [n, h, w, channels] along an axis, computed in turn to save memory."""
    order = [axis, *(other for other in range(4) if other != axis)]
    back = [order.index(i) for i in range(4)]

    def step(i, parts):
        return i + 1, parts.write(i, tf.transpose(make(i), order))

    parts = tf.TensorArray(dtype, count, infer_shape=False, element_shape=[None] * 4)
    _, parts = tf.while_loop(lambda i, _: i < count, step, (0, parts), parallel_iterations=1)
    return tf.transpose(parts.concat(), back)


def _unless_broken(function, data, otherwise):
    """Return function(data), or `otherwise` if that raises: only tf.data can catch errors in a graph."""
    made = tf.data.Dataset.from_tensors(data).map(function).ignore_errors()
    return made.reduce(otherwise, lambda _, value: value)


def _header(data):
    """Return (height, width) int64 of a PNG's or JPEG's header; empty for other files."""
    big_endian = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)

    def png():  # its first chunk holds width and height, 4 bytes each
        numbers = tf.reshape(tf.io.decode_raw(tf.strings.substr(data, 16, 8), tf.uint8), [2, 4])
        return tf.reduce_sum(tf.cast(numbers, tf.int64) * big_endian, 1)[::-1]

    def jpeg():
        return tf.io.extract_jpeg_shape(data, tf.int64)[:2]

    is_png, is_jpeg = (tf.strings.substr(data, 0, len(start)) == start for start in (_PNG, _JPEG))
    return tf.case([(is_png, png), (is_jpeg, jpeg)], lambda: tf.zeros([0], tf.int64))


def _pixels(data):
    lr = tf.io.decode_image(data, 3, expand_animations=False)
    return tf.ensure_shape(lr, [None, None, 3])


def _card(generator, name: str, max_pixels: int) -> str:
    size = f"{sum(array.size for array in generator.get_arrays().values()):,} parameters"
    facts = {"name": name, "size": size, "limit": max_pixels, "tile": TILE, "licence": metadata.licence(generator)}
    origin = f" Origin: {generator.origin}." if generator.origin else ""
    return _CARD.format(scale=generator.scale, context=generator.context, origin=origin, **facts)


def _write_warmup(signatures: dict, path: Path) -> None:
    """Write one request per signature, which the server runs before others, since the first is slow.

    The records are PredictionLog messages of tensorflow_serving/apis, encoded here so that exporting does not need that
    package.
    """
    photo = images.read(next((Path(__file__).parents[1] / "photos" / "heldout").iterdir()))[None, :64, :64]
    examples = {
        "serving_default": {"lr": photo},
        "float": {"lr": (photo / 255).astype(np.float32)},
        "encoded": {"lr_bytes": [tf.io.encode_png(photo[0]).numpy()]},
    }
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            spec = _field(1, _field(3, signature.encode()))  # PredictRequest.model_spec.signature_name
            for name, value in examples[signature].items():
                tensor = tf.make_tensor_proto(value).SerializeToString()
                spec += _field(2, _field(1, name.encode()) + _field(2, tensor))  # PredictRequest.inputs[name]
            writer.write(_field(6, _field(1, spec)))  # PredictionLog.predict_log.request


def _field(number: int, payload: bytes) -> bytes:
    """Encode a length-delimited field of a protocol-buffer message."""
    head, length = bytes([number << 3 | 2]), len(payload)
    while length > 127:
        head, length = head + bytes([length & 127 | 128]), length >> 7
    return head + bytes([length]) + payload
