import sys

import forks
import numpy as np
import pytest
import tensorflow as tf
from conftest import ROOT
from PIL import Image

from srgan_tf.data import shards
from srgan_tf.data.batches import Photos, patches
from srgan_tf.errors import ImageError


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for n in range(7):
        path = tmp_path / "hr" / f"sub{n % 2}" / f"{n}.png"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(rng.integers(0, 256, (40, 44 + n, 3), dtype=np.uint8)).save(path)
    return tmp_path / "hr"


def test_shards_give_the_batches_of_the_folder(folder, tmp_path):
    """Through TensorFlow's own reader too, which checks every record's checksum."""
    Image.new("RGB", (20, 50)).save(folder / "small.png")
    (folder / "text.png").write_text("no picture")
    command = [sys.executable, "-m", "srgan_tf", "shards", str(folder), f"--output={tmp_path / 's'}"]
    done = forks.run([*command, "--megabytes=0.012", "--smallest=32"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "7 pictures in 3 shards" in done.stdout, done.stderr
    assert done.stderr.count("left out") == 2 and "20x50 px" in done.stderr
    files = sorted((tmp_path / "s").glob("*.tfrecord"))
    feature = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
    for record, path in zip(tf.data.TFRecordDataset(files), sorted(folder.glob("sub*/*"))):
        assert tf.io.parse_single_example(record, feature)["image/encoded"].numpy() == path.read_bytes()
    for cache in (0, 1 << 30):
        ours, theirs = Photos(tmp_path / "s", 32, cache_bytes=cache), Photos(sorted(folder.glob("sub*/*")), 32)
        for a, b in zip(patches(ours, 4, 32, start=3).take(2), patches(theirs, 4, 32, start=3).take(2)):
            np.testing.assert_array_equal(a, b)
    assert len(Photos(str(tmp_path / "s" / "shard-0000[01]*.tfrecord"), 32).pairs) == 6


def test_shards_go_on_and_tell_damage(folder, tmp_path):
    records = shards.make(folder, tmp_path / "s", megabytes=0.012, smallest=32)
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "s").iterdir()}
    one = records[-1].shard
    one.with_suffix(".json").unlink()  # as where the process was killed
    assert shards.make(folder, tmp_path / "s", megabytes=0.012, smallest=32) == records
    assert {path for path, time in times.items() if path.stat().st_mtime_ns != time} == {one, one.with_suffix(".json")}
    content = bytearray(one.read_bytes())
    content[records[-1].offset + 1000] ^= 1
    one.write_bytes(content)
    with pytest.raises(ImageError, match=r"shard-00002.*checksum differs"):
        records[-1].read_bytes()
    photos = Photos(tmp_path / "s", 32)
    assert len(photos.pairs) == 6 and "checksum" in next(iter(photos.unusable.values()))
    one.write_bytes(content[:-20])
    with pytest.raises(ImageError, match=r"shard-00002.*incomplete"):
        Photos(tmp_path / "s", 32)
    with pytest.raises(ImageError, match="other pictures"):
        shards.make(next(folder.glob("sub0")), tmp_path / "s", megabytes=0.012)
