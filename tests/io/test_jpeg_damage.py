"""Damaged JPEG files: what is made of them without a word is what djpeg reads without a warning."""

import io
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from srgan_tf.errors import ImageError
from srgan_tf.io import images

KINDS = ({}, {"progressive": True}, {"subsampling": 0}, {"restart_marker_rows": 1}, {"quality": 95}, {"optimize": True})
djpeg = shutil.which("djpeg")


def whole(options: dict) -> bytes:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (24, 30, 3)).astype(np.uint8))
    file = io.BytesIO()
    noise.resize((240, 192), Image.BICUBIC).save(file, "JPEG", **options)
    return file.getvalue()


def damaged(data: bytes, kind: int, rng) -> bytes:
    """Cut (0), cut with a proper end (1), drop bytes (2), zero some (3), flip bits (4), drop a restart marker (5)."""
    result = bytearray(data)
    at = int(rng.integers(data.index(b"\xff\xda") + 14, len(data) - 2))
    if kind < 2:
        return data[:at] + b"\xff\xd9" * kind
    if kind == 2:
        del result[at : at + rng.integers(1, 200)]
    elif kind == 3:
        length = min(int(rng.integers(4, 400)), len(data) - at)
        result[at : at + length] = bytes(length)
    elif kind == 4:
        result[at] ^= rng.integers(1, 256)
    else:
        marker = data.find(b"\xff" + bytes([0xD0 + rng.integers(8)]))
        del result[marker : marker + 2 if marker > 0 else marker]
    return bytes(result)


@pytest.mark.skipif(not djpeg, reason="needs djpeg: apt-get install libjpeg-turbo-progs")
@pytest.mark.parametrize("count", [120, pytest.param(1000, marks=pytest.mark.slow)])
def test_what_djpeg_warns_of_is_refused_or_noted_and_the_rest_is_as_djpeg_reads_it(count):
    rng, files = np.random.default_rng(count), [whole(options) for options in KINDS]
    silent = refused = noted = 0
    for i in range(count):
        data = damaged(files[i % 6], i // 6 % 6, rng)
        try:
            picture = images.load(data, lenient=True)
        except ImageError as error:
            refused += 1
            assert "\n" not in str(error) and len(str(error)) < 250
            continue
        if picture.notes:
            noted += 1
            continue
        silent += 1
        other = subprocess.run([djpeg, "-ppm"], input=data, capture_output=True)
        assert other.returncode == 0 and not other.stderr, f"{i}: {other.stderr.decode()}"
        expected = np.asarray(Image.open(io.BytesIO(other.stdout)))
        assert np.abs(picture.rgb().astype(int) - expected).max() <= 2, i
    assert refused > count / 4 and silent > count / 10 and (noted or count < 1000), (silent, refused, noted)
