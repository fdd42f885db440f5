"""Every documented scale goes through every program."""

import json

import numpy as np
import pytest
from conftest import matrix
from PIL import Image

from srgan_tf.choices import SCALES
from srgan_tf.cli import evaluate, export, train, upscale
from srgan_tf.export import bundle
from srgan_tf.io import images
from srgan_tf.models.weights import load


def program(command, *words) -> None:
    command.main(*command.parse([str(word) for word in words]))


@pytest.mark.parametrize("scale", matrix(SCALES))
def test_trained_evaluated_exported_and_used(scale, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "TILES", (32,))
    rng, hr = np.random.default_rng(0), tmp_path / "bench"
    hr.mkdir()
    for n in range(2):
        coarse = Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8))
        coarse.resize((96, 96 + 24 * n), Image.Resampling.BICUBIC).save(hr / f"{n}.png")
    run, crop = tmp_path / "run", 48
    flags = [f"--scale={scale}", f"--data={hr}", f"--validation={hr}", f"--output={run}"]
    small = ["--recipe=srresnet-photos", "--steps=2", "--batch=2", f"--crop={crop}", "--blocks=1", "--channels=8"]
    program(train.command, *small, *flags, "--warmup=1", "--validate_every=2")
    assert load(run).scale == scale

    program(evaluate.command, f"--weights={run}", f"--benchmark={hr}", "--lpips=", f"--output={tmp_path}/table")
    (row,) = [r for r in json.loads((tmp_path / "table/results.json").read_text())["rows"] if r["model"] == "run"]
    assert row["psnr_y"] > 10

    out = tmp_path / "exported"
    program(
        export.command, f"--weights={run}", f"--output={out}", "--kinds=saved_model,float32,engine", "--int8_sizes=16"
    )
    images.write(tmp_path / "lr.png", rng.integers(0, 256, (30, 41, 3), np.uint8))
    made = {}
    for name, source in {
        "run": run,
        "saved": next((out / "saved_model").iterdir()),
        "lite": out / "float32.tflite",
        "engine": out / "engine.tflite",
    }.items():
        words = [tmp_path / "lr.png", f"--weights={source}", f"--output={tmp_path}/{name}.png", "--precision=float32"]
        # A SavedModel rounds before back-projection would correct it.
        program(upscale.command, *words, "--back_projection=none", "--quiet")
        made[name] = images.read(tmp_path / f"{name}.png").astype(int)
        assert made[name].shape == (30 * scale, 41 * scale, 3)
        assert np.abs(made[name] - made["run"]).max() <= 1, name
