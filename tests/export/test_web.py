"""What web/ gets: a file whose sizes can be overwritten at the places that its JSON names, and what it says."""

import hashlib
import json

import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix

from srgan_tf.errors import ExportError, WeightsError
from srgan_tf.export import bundle, web
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.inference.litert import LiteRTRunner
from srgan_tf.inference.tiling import tiled
from srgan_tf.models import weights
from srgan_tf.models.compact import Compact
from srgan_tf.models.rrdb import RRDB
from srgan_tf.models.srresnet import Generator


def small(kind, scale):
    tf.keras.utils.set_random_seed(3)
    return kind(blocks=1, channels=8, scale=scale)


def written(generator, folder):
    path = web.write(generator, folder, "small", lambda file: None)
    return path, json.loads(path.with_suffix(".json").read_text())


def test_a_shipped_model(tmp_path):
    bundle.export("compact", tmp_path, ["web"])
    folder = tmp_path / "web"
    assert sorted(path.name for path in folder.iterdir()) == ["compact.json", "compact.tflite"]
    model, told = (folder / "compact.tflite").read_bytes(), json.loads((folder / "compact.json").read_text())
    assert told["sha256"] == hashlib.sha256(model).hexdigest() and told["bytes"] == len(model) < 150_000
    assert (told["format"], told["name"], told["file"]) == (1, "compact", "compact.tflite")
    assert (told["scale"], told["context"], told["align"], told["degradation"]) == (4, 11, 1, "bicubic")
    assert (told["tile"], told["overlap"]) == (256, 11) and "Apache-2.0" in told["licence"]
    assert told["input"] == {"shape": [1, 96, 96, 3], "dtype": "float32", "range": [0, 1], "bands": "RGB"}
    assert told["output"]["shape"] == [1, 384, 384, 3]
    assert "web/compact.tflite" in (tmp_path / "report.md").read_text()


KINDS = [(Generator, 4), (RRDB, 4), (Generator, 3), (Compact, 3), (RRDB, 2)]


@pytest.mark.parametrize("kind, scale", matrix(KINDS, *KINDS[2:]))
def test_overwritten_sizes_give_the_generator_at_that_size(kind, scale, tmp_path):
    generator = small(kind, scale)
    path, told = written(generator, tmp_path)
    for height, width in ((24, 58), (130, 20)):  # far from the size that it was written for, both ways
        file = tmp_path / "sized.tflite"
        file.write_bytes(web.resized(path.read_bytes(), told, height, width))
        runner = LiteRTRunner(file)
        assert runner._side == [height, width]
        lr = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
        wanted = GeneratorRunner(generator)(lr)
        assert np.abs(runner(lr).astype(int) - wanted).max() <= 1


def test_every_size_is_listed_once_and_no_other_number():
    model = web.tflite.convert(small(Compact, 3), "float16", web.SIDE)
    rows, columns, largest = web.places(model)
    assert [offset + 4 for offset, _ in rows] == [offset for offset, _ in columns]
    assert {factor for _, factor in rows} == {1, 3} and largest > 0
    for offset, factor in rows + columns:
        assert int.from_bytes(model[offset : offset + 4], "little") == web.SIDE * factor


def test_the_overlap_leaves_no_seam():
    generator = weights.load("compact")
    runner = GeneratorRunner(generator)
    lr = np.random.default_rng(1).random((1, 70, 70, 3), np.float32)
    made = tiled(runner, lr, 40, web.overlap(generator), generator.scale)
    assert np.abs(made - runner(lr)).max() * 127.5 <= web.SEAM


def test_what_is_no_longer_its_generator_is_refused(tmp_path, monkeypatch):
    generator, places = small(Compact, 2), web.places

    def one_forgotten(*arguments):
        rows, columns, largest = places(*arguments)
        return rows[1:], columns, largest

    monkeypatch.setattr(web, "places", one_forgotten)
    with pytest.raises((ExportError, WeightsError), match=r"small.tflite: .*64 x 40|small.tflite: .*LiteRT"):
        web.write(generator, tmp_path / "web", "small", lambda file: None)
    assert not (tmp_path / "web").exists()


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "web").write_text("in the way")
    with pytest.raises(ExportError, match=r"small\.tflite: cannot write it"):
        web.write(small(Compact, 2), tmp_path / "web", "small", lambda file: None)
