"""A run's folder: what is wrong with it, or in its way, is one line, and the last whole checkpoint stays."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from noise import write_noise

from srgan_tf.data.bicubic import downscale
from srgan_tf.errors import ImageError, TrainingError
from srgan_tf.io import images
from srgan_tf.models.weights import load
from srgan_tf.training import callbacks, loop
from srgan_tf.training.loop import train
from srgan_tf.training.recipes import RECIPES, Recipe

pytestmark = pytest.mark.usefixtures("eagerly")


@pytest.fixture
def data(tmp_path):
    return write_noise(tmp_path / "data")


def tiny(steps):
    return Recipe("tiny", steps, blocks=1, channels=4, batch=2, crop=16, validate_every=7)


def test_validation_pictures_that_cannot_be_used_are_named_and_left_out(tmp_path, caplog):
    folder = tmp_path / "v"
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 48, 3)).astype(np.uint8)
    images.write(folder / "good.png", pixels)
    images.write(folder / "small.png", pixels[:9])
    (folder / "broken.png").write_bytes((folder / "good.png").read_bytes()[:900])
    pairs = list(loop.validation_pairs(folder, RECIPES["srresnet"]))
    assert len(pairs) == 1 and "small.png: 48x9 px is smaller than 12" in caplog.text and "broken.png" in caplog.text
    (folder / "good.png").unlink()
    with pytest.raises(ImageError, match="v: no usable picture among 2"):
        loop.validation_pairs(folder, RECIPES["srresnet"])


@pytest.mark.matrix
def test_validation_is_degraded_as_the_training_is():
    names = ("srresnet", "srresnet-real", "srresnet-real")
    clean, real, again = (next(iter(loop.validation_pairs(None, RECIPES[name]))) for name in names)
    np.testing.assert_array_equal(real[0], again[0])
    np.testing.assert_array_equal(clean[0], downscale(clean[1], 4))
    assert np.abs(np.asarray(real[0], int) - clean[0]).mean() > 2


def test_a_full_disk_keeps_the_last_whole_checkpoint(tmp_path, data, monkeypatch):
    written, checkpoints = callbacks.save_weights, tmp_path / "run" / "checkpoints"

    def full(*arguments):
        if list(checkpoints.glob("step-*")):
            raise OSError(28, "No space left on device")
        return written(*arguments)

    monkeypatch.setattr(callbacks, "save_weights", full)
    with pytest.raises(TrainingError, match=r"No space left on device\); the last complete one is of step 1"):
        train(tiny(4), tmp_path / "run", data, validation=data, save_seconds=0)
    assert [path.name for path in checkpoints.iterdir()] == ["step-00000001"]
    monkeypatch.undo()
    train(tiny(4), tmp_path / "run", data, validation=data)
    assert (checkpoints / "step-00000004").is_dir()


def test_two_runs_in_one_folder(tmp_path, data):
    code = (
        "import sys, time; from srgan_tf.training import runs\n"
        "with runs.held(sys.argv[1]): print('held', flush=True); time.sleep(600)"
    )
    owner = subprocess.Popen([sys.executable, "-c", code, str(tmp_path / "run")], stdout=subprocess.PIPE, cwd=ROOT)
    assert owner.stdout.readline() == b"held\n"
    with pytest.raises(TrainingError, match=f"process {owner.pid} is training in it"):
        train(tiny(1), tmp_path / "run", data, validation=data)
    owner.kill()
    owner.wait()
    train(tiny(1), tmp_path / "run", data, validation=data)  # a dead owner does not hold it


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A finished run of two steps with both checkpoints, and its data."""
    folder = tmp_path_factory.mktemp("trained")
    data = write_noise(folder / "data")
    train(tiny(2), folder / "run", data, validation=data, save_seconds=0)
    return folder


@pytest.mark.matrix
@pytest.mark.parametrize("damage", ["[1, 2]", '"text"', "null", "7", '{"settings": [1]}', "{"])
def test_files_of_any_json_that_are_no_run_are_one_line(tmp_path, trained, damage):
    run, data = shutil.copytree(trained / "run", tmp_path / "run"), trained / "data"
    newest = sorted((run / "checkpoints").glob("step-*"))[-1]
    (newest / "state.json").write_text(damage)
    train(tiny(2), run, data, validation=data)  # resumes from the one before
    assert load(run)
    (run / "run.json").write_text(damage)
    with pytest.raises(TrainingError, match=r"run.json is damaged"):
        train(tiny(2), run, data, validation=data)


def test_a_run_tells_its_lives_and_how_to_train_on(tmp_path, trained):
    output, data = shutil.copytree(trained / "run", tmp_path / "a run"), trained / "data"
    train(tiny(2), output, data, validation=data)
    told = json.loads((output / "run.json").read_text())
    assert [life["step"] for life in told["lives"]] == [0, 2] and told["lives"][1]["versions"]["keras"]
    with pytest.raises(TrainingError, match=r"is a run of 2 steps.*give --init=.*a run and another --output"):
        train(tiny(5), output, data, validation=data)
    assert f"--weights='{output}'" in loop.summary(tiny(2), output, data)
