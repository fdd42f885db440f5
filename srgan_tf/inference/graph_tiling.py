"""`tiling` inside a TensorFlow graph, for pictures whose size is unknown when it is traced."""

import tensorflow as tf


def in_pieces(function, x, side: int, context: int, scale: int, dtype, multiple: int = 1):
    """Return function(x), [n, h, w, channels] → dtype [n, scale * h, scale * w, ...], at most side² pixels at a time.

    Small pictures are batched, large ones run tile by tile, as in `tiling.spans`.
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
