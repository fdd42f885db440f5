"""Runs that are stopped, killed and damaged end as the unbroken run does."""

import csv
import dataclasses
import json
import random
import shutil
import signal
import subprocess
import sys
import time

import forks
import numpy as np
import pytest
from conftest import ROOT, eager, matrix
from noise import write_noise
from PIL import Image

from srgan_tf import compat, machine
from srgan_tf.errors import TrainingError
from srgan_tf.models.srresnet import Generator
from srgan_tf.models.weights import load, save_weights
from srgan_tf.training import build, callbacks, loop
from srgan_tf.training.loop import train
from srgan_tf.training.recipes import Recipe

TINY = {"blocks": 1, "channels": 4, "batch": 2, "crop": 16, "validate_every": 7, "ema_decay": 0.9, "warmup": 3}


@pytest.fixture(autouse=True, scope="module")
def no_strips():
    """TensorBoard's pictures take a second per validation; test_callbacks.py has them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(callbacks.TensorBoard, "_strip", lambda *_: np.zeros((1, 4, 4, 3), np.uint8))
        yield


@pytest.fixture
def data(tmp_path):
    return write_noise(tmp_path / "data")


def tiny(steps, **changes):
    return Recipe("tiny", steps, **{**TINY, "schedule": "cosine", **changes})


def final(output, step):
    with np.load(output / "checkpoints" / f"step-{step:08d}" / "generator.npz") as file:
        return {name: file[name] for name in file.files}


def assert_same(one, other):
    assert one.keys() == other.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def command(output, data, steps, *more):
    flags = {**TINY, "steps": steps, "recipe": "srresnet", "output": output, "data": data, "validation": data}
    return [sys.executable, str(ROOT / "train.py"), "--deterministic", *(f"--{k}={v}" for k, v in flags.items()), *more]


WHOLE = tiny(10, validate_every=2)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An unbroken run of 10 steps, and what trains it."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_noise(folder / "data")
    options = {"data": data, "validation": data, "deterministic": True}
    with eager():
        train(WHOLE, folder / "run", **options)
    return folder / "run", options


@pytest.mark.usefixtures("eagerly")
def test_five_and_five_steps_are_ten(tmp_path, whole, monkeypatch):
    """Every weight, statistic and average to the bit; stopped by a signal in mid-epoch."""
    run, options = whole

    counted = callbacks.Checkpoints.on_train_batch_end

    def stop_at_five(self, batch, logs=None):
        if self.step == 4:
            self.stop_signal = signal.SIGTERM
        counted(self, batch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(callbacks.Checkpoints, "on_train_batch_end", stop_at_five)
        _, stopped = train(WHOLE, tmp_path / "parts", **options)
    assert stopped == signal.SIGTERM and (tmp_path / "parts" / "checkpoints" / "step-00000005").is_dir()
    _, stopped = train(WHOLE, tmp_path / "parts", **options)
    assert stopped == 0
    assert_same(final(run, 10), final(tmp_path / "parts", 10))
    rows = [(path / "log.csv").read_text().splitlines() for path in (run, tmp_path / "parts")]
    assert [row.split(",")[0] for row in rows[0]] == ["step", "2", "4", "6", "8", "10"]
    # A validation's losses are means over the steps since the last one, or since the restart; its score is exact.
    assert rows[1][-1].rsplit(",")[0] == rows[0][-1].rsplit(",")[0]


def kill_and_resume(tmp_path, data, kills, seed):
    steps = 60 if kills == 1 else 150
    forks.run(command(tmp_path / "whole", data, steps), check=True, capture_output=True)
    rng = random.Random(seed)
    last = ""
    for _ in range(kills):
        process = forks.Popen(
            [*command(tmp_path / "killed", data, steps), "--save_seconds=0.2"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        # Killed at a random moment after the first checkpoint of this life.
        while process.poll() is None:
            saved = sorted((tmp_path / "killed" / "checkpoints").glob("step-*"))
            if saved and saved[-1].name != last:
                time.sleep(rng.uniform(0, 0.5))
                break
            time.sleep(0.05)
        process.kill()
        process.wait()
        last = sorted((tmp_path / "killed" / "checkpoints").glob("step-*"))[-1].name
    done = forks.run(command(tmp_path / "killed", data, steps), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert_same(final(tmp_path / "whole", steps), final(tmp_path / "killed", steps))


@pytest.mark.matrix
def test_killed_it_ends_as_the_unbroken_run(tmp_path, data):
    kill_and_resume(tmp_path, data, kills=1, seed=1)


@pytest.mark.slow
def test_killed_twenty_times_it_ends_as_the_unbroken_run(tmp_path, data):
    kill_and_resume(tmp_path, data, kills=20, seed=2)


@pytest.mark.matrix
def test_results_name_the_command(tmp_path, data):
    large = Image.fromarray(np.random.default_rng(1).integers(0, 256, (48, 48, 3), dtype=np.uint8))
    (tmp_path / "large").mkdir()
    large.save(tmp_path / "large" / "one.png")
    run = command(tmp_path / "run", data, 2, f"--validation={tmp_path}/large")
    forks.run(run, check=True, capture_output=True)
    assert f"Made by `python {' '.join(run[1:])}` with" in (tmp_path / "run/evaluation/results.md").read_text()


@pytest.mark.parametrize("number", matrix([signal.SIGTERM, signal.SIGINT], signal.SIGTERM))
def test_signal_saves_and_tells_how_to_go_on(tmp_path, data, number):
    process = forks.Popen(command(tmp_path / "run", data, 100000), stderr=subprocess.PIPE, text=True)
    while not list((tmp_path / "run").glob("log.csv")):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(number)
    _, stderr = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "to resume: python" in stderr and "Traceback" not in stderr
    newest = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))[-1]
    assert json.loads((newest / "state.json").read_text())["step"] == int(newest.name.split("-")[1])
    load(tmp_path / "run")


@pytest.mark.usefixtures("eagerly")
def test_damaged_checkpoints_are_named_and_the_newest_good_one_used(tmp_path, whole, caplog):
    """Three newer ones filled the places of the newest, and an unread one stopped the run."""
    run, options = shutil.copytree(whole[0], tmp_path / "run"), whole[1]
    expected = final(run, 10)
    paths = sorted((run / "checkpoints").glob("step-*"))
    damaged = [*paths[1:], shutil.copytree(paths[-1], run / "checkpoints" / "step-00000011")]
    for path in damaged[:-1]:
        (path / "state.json").write_text("{")
    tensors = damaged[-1] / "state.data-00000-of-00001"
    content = bytearray(tensors.read_bytes())
    content[len(content) // 2] ^= 0xFF
    tensors.write_bytes(content)
    train(WHOLE, run, **options)
    assert all(f"{path.name} is damaged" in caplog.text for path in damaged)
    assert_same(final(run, 10), expected)
    assert {path.name for path in damaged} <= {p.name[8:] for p in paths[0].parent.glob("damaged-*")}
    load(run)
    for state in (run / "checkpoints").glob("step-*/state.json"):
        state.write_text("{")
    with pytest.raises(TrainingError, match="all checkpoints are damaged"):
        train(WHOLE, run, **options)


@pytest.mark.usefixtures("eagerly")
def test_other_settings_or_data_are_refused_with_the_difference(tmp_path, data):
    train(tiny(2), tmp_path / "run", data=data, validation=data)
    with pytest.raises(TrainingError, match=r"learning_rate: 0\.0001 before, 0\.5 now"):
        train(tiny(2, learning_rate=0.5), tmp_path / "run", data=data, validation=data)
    # A run from before a setting was there goes on with its default.
    path = tmp_path / "run" / "run.json"
    run = json.loads(path.read_text())
    del run["settings"]["degradation"]
    path.write_text(json.dumps(run))
    train(tiny(2), tmp_path / "run", data=data, validation=data)
    (data / "2.png").unlink()
    with pytest.raises(TrainingError, match="data: "):
        train(tiny(2), tmp_path / "run", data=data, validation=data)


@pytest.mark.usefixtures("eagerly")
def test_infinite_loss_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path, data):
    wild = tiny(40, learning_rate=1e30, schedule="constant", warmup=0, pixel="mse", validate_every=1)
    with pytest.raises(TrainingError, match=r"(loss/content|grad/g) is (nan|inf) at step \d+"):
        train(wild, tmp_path / "run", data=data, validation=data)
    kept = sorted((tmp_path / "run" / "checkpoints").glob("step-*"))
    assert all(
        np.isfinite(array).all()
        for n, array in final(tmp_path / "run", int(kept[-1].name[5:])).items()
        if n != "config"
    )


@pytest.mark.usefixtures("eagerly")
def test_gan_resumes_with_both_networks_and_its_feature_network(tmp_path, data, monkeypatch, small_discriminator):
    """In two lives it ends as in one; what `auto` resolved to stays the run's."""
    from srgan_tf.models import vgg

    gan = tiny(
        2,
        validate_every=1,
        crop=32,
        features="5,4",
        discriminator=True,
        pooled=True,
        starts_from="srresnet",
    )
    pictures = np.random.default_rng(0).integers(0, 256, (2, 40, 40, 3), dtype=np.uint8)
    for n, picture in enumerate(pictures):
        Image.fromarray(picture).save(data / f"large{n}.png")
    first = tiny(1, crop=32)
    monkeypatch.setitem(build.RECIPES, "srresnet", first)
    asked = []
    vgg19 = vgg._vgg19

    def absent(*arguments):
        asked.append(arguments)
        raise OSError("no network")

    monkeypatch.setattr(vgg, "_vgg19", absent)
    options = {"data": data, "validation": data, "deterministic": True}
    train(gan, tmp_path / "whole", **options)
    assert json.loads((tmp_path / "whole" / "tiny" / "run.json").read_text())["settings"]["steps"] == 1
    shutil.copytree(tmp_path / "whole", tmp_path / "parts")
    shutil.rmtree(tmp_path / "parts" / "checkpoints" / "step-00000002")
    run = json.loads((tmp_path / "parts" / "run.json").read_text())
    assert run["feature_network"] == "vgg16" and run["features"] == "VGG-16 φ5,3" and len(asked) == 1
    monkeypatch.setattr(vgg, "_vgg19", vgg19)
    train(gan, tmp_path / "parts", **options)
    states = sorted((tmp_path / "parts" / "checkpoints").glob("step-*/state.json"))
    assert not any(json.loads(state.read_text())["is_best"] for state in states)  # PSNR does not choose among GANs
    assert_same(final(tmp_path / "whole", 2), final(tmp_path / "parts", 2))


def test_newest_three_and_the_best_are_kept(whole):
    paths = sorted((whole[0] / "checkpoints").glob("step-*"))
    states = [json.loads((path / "state.json").read_text()) for path in paths]
    assert 3 <= len(paths) <= 4 and [s["step"] for s in states[-3:]] == [6, 8, 10]
    assert any(state["is_best"] for state in states)
    with open(whole[0] / "log.csv", newline="") as file:
        scores = [float(row["val/psnr_y"]) for row in csv.DictReader(file)]
    assert states[-1]["best"] == pytest.approx(max(scores), abs=1e-4)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--data=/absent"], "/absent: no such file or folder"),
        (["--stepz=3"], "stepz"),
        (["--crop=31"], "crop must be a multiple of scale"),
        (["--recipe=nosuch"], "recipe"),
        (["stray"], "unexpected argument 'stray'"),
        (["--init=/absent.npz"], "/absent.npz: no such weights"),
        (["--optimizer=Nosuch"], "Nosuch"),
        (["--blocks=0"], "blocks must be at least 1"),
        (["--features=abc"], "features must be i,j"),
        (["--recipe=srgan", "--judges=x"], "judges must be i,j"),
        (["--recipe=srgan-mse", "--judges=1,2"], "judges=1,2 goes with a content loss"),
        (["--recipe=srgan", "--crop=100"], "crop must be a multiple of 16"),
        (["--recipe=srgan", "--warmup=9"], "warmup goes with"),
        (
            ["--recipe=compact", "--zero_init", "--batch_norm", "--optimizer=Adam"],
            "--generator=compact does not support it",
        ),
        (["--recipe=srresnet-photos", "--zero_init"], "zero_init goes with --batch_norm"),
        (["--recipe=compact", "--interpolate_init", "--optimizer=Adam"], "Compact does not support it"),
        (["--milestones=0.5,0.2"], "milestones must be rising"),
    ],
)
def test_wrong_flags_give_one_line(tmp_path, flags, words):
    command = [sys.executable, str(ROOT / "train.py"), f"--output={tmp_path / 'run'}", *flags]
    done = forks.run(command, capture_output=True, text=True)
    assert done.returncode != 0 and words in done.stderr and done.stderr.count("\n") == 1, done.stderr
    assert not (tmp_path / "run").exists()


def test_help_needs_no_tensorflow():
    code = f"import sys; sys.argv = ['train.py', '--help']; exec(open({str(ROOT / 'train.py')!r}).read())"
    check = f"import atexit, sys; atexit.register(lambda: print('tensorflow' in sys.modules)); {code}"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0 and "--recipe" in done.stdout and done.stdout.endswith("False\n")


def test_weights_fit_with_and_without_batch_norm(tmp_path):
    """A recipe without batch norm goes on from weights with it, and the other way round: the same function."""
    lr = np.random.default_rng(0).uniform(0, 1, (1, 9, 8, 3)).astype(np.float32)
    for there, here in ((True, False), (False, True)):
        start = Generator(2, 8, batch_norm=there)
        save_weights(start, tmp_path / "start.npz")
        recipe = Recipe("x", 1, blocks=2, channels=8, batch_norm=here)
        model = loop.build(recipe, tmp_path / "start.npz")
        assert model.generator.batch_norm == here
        loop.build(dataclasses.replace(recipe, freeze_batch_norm=True), tmp_path / "start.npz")
        np.testing.assert_allclose(model.generator(lr), start(lr), atol=1e-5)


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize("in_hardware", matrix([True, False], False))
def test_slow_bfloat16_is_told(tmp_path, data, monkeypatch, caplog, in_hardware):
    monkeypatch.setattr(machine, "has_bfloat16", lambda: in_hardware)
    try:
        train(tiny(1, precision="mixed_bfloat16"), tmp_path / "run", data, validation=data)
    finally:
        compat.set_precision("float32")
    assert ("--precision=float32" in caplog.text) != in_hardware
