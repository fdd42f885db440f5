"""Strips and tiles of a TIFF file to samples, for the sample types that libtiff's other readers cannot or misread.

Only what Python's own library unpacks: no compression, deflate and LZMA. libvips reads the rest.
"""

import lzma
import zlib

import numpy as np

from srgan_tf.io import tiff_directories as tags

DEFLATE = (8, 32946)
COMPRESSIONS = (1, *DEFLATE, 34925)
_PIECE = 1 << 20


def _segments(directory: tags.Directory) -> list[tuple[int, int]]:
    """Where each strip or tile lies: (offset, bytes)."""
    tiled = tags.TILE_OFFSETS in directory.tags
    offsets = directory.tags.get(tags.TILE_OFFSETS if tiled else tags.OFFSETS, ())
    counts = directory.tags.get(tags.TILE_COUNTS if tiled else tags.COUNTS, ())
    return list(zip(offsets, counts))


def check_whole(data: bytes, directory: tags.Directory) -> None:
    """Raise ValueError where strips or tiles lie outside of the file."""
    if any(offset + count > len(data) for offset, count in _segments(directory)):
        raise ValueError("the TIFF file is truncated: parts of its data lie behind its end")


def check(data: bytes, directory: tags.Directory) -> None:
    """Raise ValueError where deflated segments fail their checksum, which libtiff does not look at.

    One that lacks its checksum is taken: libtiff sees whether its pixels are there.
    """
    if directory.get(tags.COMPRESSION, 1) not in DEFLATE:
        return
    for number, (offset, count) in enumerate(_segments(directory)):
        unpacker, rest = zlib.decompressobj(), data[offset : offset + count]
        try:
            while rest and not unpacker.eof:
                unpacker.decompress(rest, _PIECE)  # pieces: a hostile segment may hold gigabytes
                rest = unpacker.unconsumed_tail
        except zlib.error:
            raise ValueError(f"the TIFF file is damaged: its compressed data fail in part {number + 1}") from None


def decode(data: bytes, directory: tags.Directory) -> np.ndarray:
    """The samples as stored [height, width, samples], in the machine's byte order; predictors are undone.

    Raises:
        ValueError: data are missing or damaged, or of a kind that is not read here.
    """
    compression, bits = directory.get(tags.COMPRESSION, 1), directory.bits
    if compression not in COMPRESSIONS:
        raise ValueError(f"TIFF samples of {bits} bits are not read in compression {compression}: save it uncompressed")
    width, height, samples = directory.get(tags.WIDTH), directory.get(tags.HEIGHT), directory.get(tags.SAMPLES, 1)
    tiled, separate = tags.TILE_OFFSETS in directory.tags, directory.get(tags.PLANAR, 1) == 2 and samples > 1
    wide = directory.get(tags.TILE_WIDTH) if tiled else width
    high = directory.get(tags.TILE_HEIGHT) if tiled else min(directory.get(tags.ROWS, height), height)
    if not 0 < wide <= 1 << 24 or not 0 < high <= 1 << 24:
        raise ValueError("the TIFF file is damaged: its tiles have no size")
    each = 1 if separate else samples
    across, down = -(-width // wide), -(-height // high)
    segments = _segments(directory)
    if len(segments) < across * down * (samples if separate else 1):
        raise ValueError("the TIFF file is damaged: parts of its data are missing")
    result = np.empty((height, width, samples), _dtype(directory).newbyteorder("="))
    for number, (offset, count) in enumerate(segments[: across * down * (samples if separate else 1)]):
        plane, place = divmod(number, across * down)
        top, left = place // across * high, place % across * wide
        rows = high if tiled else min(high, height - top)
        packed = data[offset : offset + count]
        part = _samples(_unpack(packed, compression, rows, -(-wide * each * bits // 8)), directory, data, wide, each)
        part = part[: height - top, : width - left]
        result[top : top + len(part), left : left + part.shape[1], plane : plane + each] = part
    return result


def _dtype(directory: tags.Directory) -> np.dtype:
    bits, kind = directory.bits, directory.sample_format()
    whole = next((n for n in (8, 16, 32, 64) if bits <= n), 0)
    if not whole or not kind or (whole != bits and kind != "u") or (kind == "f" and whole < 16):
        raise ValueError(f"TIFF samples of {bits} bits of this kind are not read: convert it to 8 or 16 bits")
    return np.dtype(f"{kind}{whole // 8}")


def _unpack(packed: bytes, compression: int, rows: int, row_bytes: int) -> np.ndarray:
    size = rows * row_bytes
    try:
        if compression in DEFLATE:
            packed = zlib.decompressobj().decompress(packed, size)
        elif compression == 34925:
            packed = lzma.LZMADecompressor().decompress(packed, size)
    except (zlib.error, lzma.LZMAError, EOFError):
        packed = b""
    if len(packed) < size:
        raise ValueError("the TIFF file is truncated or damaged")
    return np.frombuffer(packed[:size], np.uint8).reshape(rows, row_bytes)


def _samples(lines: np.ndarray, directory: tags.Directory, data: bytes, wide: int, each: int) -> np.ndarray:
    bits, dtype = directory.bits, _dtype(directory)
    predictor = directory.get(tags.PREDICTOR, 1) if directory.get(tags.COMPRESSION, 1) != 1 else 1
    if bits != dtype.itemsize * 8:
        if predictor != 1:
            raise ValueError(f"TIFF samples of {bits} bits with a predictor are not read: save it uncompressed")
        flat = np.unpackbits(lines, axis=1)[:, : wide * each * bits].reshape(len(lines), -1, bits)
        result = np.zeros(flat.shape[:2], dtype)
        for bit in range(bits):
            result = (result << 1) | flat[:, :, bit]
        return result.reshape(len(lines), wide, each)
    if predictor == 3:  # bytes of one weight together, highest first, each row as differences
        size = dtype.itemsize
        bent = lines.reshape(len(lines), -1, each)
        straight = np.add.accumulate(bent, axis=1, dtype=np.uint8).reshape(len(lines), size, -1)
        big = np.ascontiguousarray(straight.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
        return big.reshape(len(lines), wide, each).astype(dtype)
    values = np.ascontiguousarray(lines).view(dtype.newbyteorder(tags.byte_order(data)))
    values = values.reshape(len(lines), wide, each).astype(dtype)
    if predictor == 2 and dtype.kind in "ui":
        values = np.add.accumulate(values, axis=1, dtype=dtype)
    elif predictor != 1:
        raise ValueError(f"TIFF predictor {predictor} is not read for this kind of samples: save it without")
    return values
