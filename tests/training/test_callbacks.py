"""What a run leaves behind to be looked at: its log, the same as TensorBoard events, curves, and hints."""

import csv
import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
import tqdm.std
from PIL import Image

from srgan_tf.evaluation import sheets
from srgan_tf.models.srresnet import Generator
from srgan_tf.training.callbacks import CsvLog, Hints, ProgressLine, TensorBoard
from srgan_tf.training.model import SRGAN

ROWS = [{"loss": 0.5, "loss/content": 0.25, "d/real": 0.75, "val_psnr_y": 28.0 + n} for n in range(3)]


@pytest.fixture
def run(tmp_path):
    """A folder with the log and events of three validations, written by the callbacks."""
    model = SRGAN(Generator(1, 4))
    model.compile("adam")
    rng = np.random.default_rng(0)
    pictures = [
        (rng.integers(0, 256, (1, *size, 3), dtype=np.uint8), rng.integers(0, 256, (1, *big, 3), dtype=np.uint8))
        for size, big in (((6, 9), (24, 36)), ((60, 50), (240, 200)))
    ]
    spec = tf.TensorSpec((1, None, None, 3), tf.uint8)
    pairs = tf.data.Dataset.from_generator(lambda: iter(pictures), output_signature=(spec, spec))
    checkpoints = SimpleNamespace(step=0)
    watchers = [CsvLog(tmp_path / "log.csv", checkpoints), TensorBoard(tmp_path / "tensorboard", checkpoints, pairs)]
    for epoch, logs in enumerate(ROWS):
        checkpoints.step += 10
        for watcher in watchers:
            watcher.set_model(model)
            watcher.on_epoch_end(epoch, logs)
    return tmp_path


def test_tensorboard_reads_what_the_csv_holds(run):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard"), {"tensors": 0}).Reload()
    with open(run / "log.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["10", "20", "30"]
    for name in set(rows[0]) - {"step"}:
        read = {event.step: float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors(name)}
        assert read == pytest.approx({int(row["step"]): float(row[name]) for row in rows}), name
    shapes = []
    for i in range(2):
        (_, _, encoded) = tf.make_ndarray(events.Tensors(f"bicubic, SR, HR/{i}")[-1].tensor_proto)
        shapes.append(tf.io.decode_png(encoded).shape)
    assert shapes == [(24, 3 * 36, 3), (4 * 48, 3 * 4 * 48, 3)]


def test_curves_show_each_group_of_the_log(run):
    sheets.write_curves(run / "curves.png", run / "log.csv")
    with Image.open(run / "curves.png") as picture:
        assert picture.size[0] > 3 * picture.size[1]  # three panels: validation, loss, d
        assert len(np.unique(np.asarray(picture.convert("L")))) > 50
    (run / "log.csv").write_text("")
    sheets.write_curves(run / "empty.png", run / "log.csv")


@pytest.mark.parametrize(
    ("logs", "word"),
    [
        ({"d/real": 0.99, "d/fake": 0.01}, "D wins"),
        ({"ratio/content_mse": 30.0}, "content loss"),
        ({"ratio/content_mse": 0.03}, "content loss"),
        ({"d/real": 0.7, "d/fake": 0.3, "ratio/content_mse": 1.5}, None),
        ({"loss/content": 0.1}, None),
    ],
)
def test_hints_come_once_after_two_validations(caplog, logs, word):
    hints = Hints()
    hints.on_epoch_end(0, logs)
    assert not caplog.records
    for epoch in range(1, 4):
        hints.on_epoch_end(epoch, logs)
    assert [word in record.message for record in caplog.records] == ([True] if word else [])


def test_a_runs_log_has_a_line_a_minute_and_one_a_validation(monkeypatch):
    monkeypatch.setattr(tqdm.std, "time", itertools.count(0, 10).__next__)  # every look at the clock takes 10 s
    stream, checkpoints = io.StringIO(), SimpleNamespace(step=4, stop_signal=None)
    line = ProgressLine(checkpoints, steps=64, stream=stream)
    for epoch in range(2):
        line.on_train_begin()
        for _ in range(30):
            checkpoints.step += 1
            line.on_train_batch_end(0, {"loss": 3.0, "loss/content": 0.5, "d/real": 0.7})
        line.on_epoch_end(epoch, {"loss/content": 0.25, "val_psnr_y": 28.125})
        line.on_train_end()
    lines = stream.getvalue().splitlines()
    assert 6 < len(lines) < 62 and all("/64 [" in line and line.endswith("]") for line in lines)
    assert ", loss/content 0.5]" in lines[0] and "val" not in lines[0]
    validated = [line for line in lines if line.endswith(", val 28.12 dB  loss/content 0.25]")]
    assert [line.split("[")[0].split()[-1] for line in validated] == ["34/64", "64/64"] and validated[-1] == lines[-1]
