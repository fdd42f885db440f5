"""Callbacks of a training run: checkpoints, progress, logs and warnings of usual failures."""

import csv
import json
import math
import os
import shutil
import sys
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from absl import logging

from srgan_tf import compat, terminal
from srgan_tf.data.bicubic import enlarge
from srgan_tf.data.levels import to_lr_range, to_uint8
from srgan_tf.errors import TrainingError
from srgan_tf.io import files
from srgan_tf.models.weights import is_best, save_weights
from srgan_tf.progress import Bar


class Checkpoints(keras.callbacks.Callback):
    """Save the whole state of a run, so that it resumes exactly.

    A checkpoint is a folder `checkpoints/step-00001234/` with the state (`state.*`, a `tf.train.Checkpoint`), the
    generator to use (`generator.npz`) and the counters (`state.json`). It is written aside and renamed, so a folder of
    that name is complete. SIGTERM and the first Ctrl-C save and end the run after the current step.

    Args:
        folder: of the checkpoints.
        model: the `SRGAN`.
        seconds: between checkpoints: the most work that a kill can lose.
        keep: newest checkpoints to keep; without a discriminator, the best by val_psnr_y is kept too.
        writes: whether this process writes; other workers only restore and count.
    """

    def __init__(self, folder, model, seconds: float = 45, keep: int = 3, writes: bool = True):
        super().__init__()
        self.folder, self.seconds, self.keep, self.run = Path(folder), seconds, keep, model
        self.writes = writes
        self.step, self.best, self.stop_signal = 0, -math.inf, None
        self._variables = variables_of(model)
        # Plain lists: `tf.train.Checkpoint` silently leaves out layers in lists of a Keras 3 model.
        local = {name: [compat.local(v) for v in variables] for name, variables in self._variables.items()}
        self.state = tf.train.Checkpoint(**local)
        self._saved_at, self._saved_step = time.monotonic(), None

    def restore(self) -> int:
        """Load the newest complete checkpoint; return its step, 0 without any.

        Damaged ones are logged and renamed, so that they do not count among the newest.
        """
        if self.writes:
            shutil.rmtree(self.folder / ".partial", ignore_errors=True)
        damaged = []
        for path in sorted(self.folder.glob("step-*"), reverse=True):
            try:
                counters = json.loads((path / "state.json").read_text())
                step, best = int(counters["step"]), float(counters["best"] or -math.inf)
                self.state.read(str(path / "state")).assert_existing_objects_matched().assert_consumed()
            except Exception as error:  # damaged files raise many types
                reason = str(error).splitlines()[0] if str(error) else type(error).__name__
                logging.warning("%s is damaged (%s); trying the one before it", path, reason)
                damaged.append(path)
                continue
            for variable in (v for variables in self._variables.values() for v in variables):
                if compat.local(variable) is not variable:  # several replicas take the first one's value
                    variable.assign(compat.local(variable))
            for other in damaged if self.writes else ():
                aside = other.with_name(f"damaged-{other.name}")
                shutil.rmtree(aside, ignore_errors=True)
                os.rename(other, aside)
            self.step = self._saved_step = step
            self.best = best
            return self.step
        return 0

    def save(self, best: bool = False) -> None:
        if not self.writes or (self._saved_step == self.step and not best):
            return
        aside, final = self.folder / ".partial", self.folder / f"step-{self.step:08d}"
        try:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            self.state.write(str(aside / "state"))
            save_weights(self.run.best_generator, aside / "generator.npz")
            counters = {"step": self.step, "best": self.best if math.isfinite(self.best) else None, "is_best": best}
            (aside / "state.json").write_text(json.dumps(counters))
            shutil.rmtree(final, ignore_errors=True)
            os.rename(aside, final)
        except (OSError, tf.errors.OpError) as error:  # usually a full disk
            shutil.rmtree(aside, ignore_errors=True)
            raise TrainingError(
                f"{self.folder}: cannot write the checkpoint of step {self.step} ({files.reason(error)}); the "
                f"last complete one is of step {self._saved_step or 0}. Free disk space and rerun the same command"
            ) from None
        self._saved_at, self._saved_step = time.monotonic(), self.step
        paths = sorted(self.folder.glob("step-*"))
        best_paths = [path for path in paths if is_best(path)]
        for path in set(paths[: -self.keep]) - set(best_paths[-1:]):
            shutil.rmtree(path)

    def catch_signals(self) -> None:
        def stop(number):
            if self.stop_signal is not None:  # the second signal ends at once
                raise KeyboardInterrupt
            self.stop_signal = number
            print("\nstopping after this step …", file=sys.stderr, flush=True)

        terminal.on_end(stop)

    def on_train_batch_end(self, batch, logs=None):
        self.step += 1
        # Report the sum last: its parts say where to look.
        for name, value in sorted((logs or {}).items(), key=lambda item: item[0] == "loss"):
            if not np.isfinite(value):
                raise TrainingError(
                    f"{name} is {float(value)} at step {self.step}; the last good checkpoint is kept "
                    f"(step {self._saved_step or 0}). Lower --learning_rate, or set --clip_norm"
                )
        if self.stop_signal is not None:
            self.model.stop_training = True
        if self.stop_signal is not None or time.monotonic() - self._saved_at > self.seconds:
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        score = (logs or {}).get("val_psnr_y", -math.inf)
        # A GAN run uses its newest checkpoint: PSNR falls as detail appears.
        improved = score > self.best and self.run.discriminator is None
        self.best = max(self.best, float(score))
        self.save(best=improved)


def variables_of(model) -> dict[str, list[tf.Variable]]:
    """Return the variables that training needs to resume exactly: those of networks and optimizers, by holder."""
    found = {}
    for name in ("generator", "ema_generator", "discriminator", "optimizer", "d_optimizer"):
        holder = getattr(model, name)
        if holder is not None:
            variables = compat.optimizer_variables(holder) if name.endswith("optimizer") else holder.weights
            found[name] = [compat.tf_variable(v) for v in variables]
    return found


class ProgressLine(keras.callbacks.Callback):
    """Show progress, speed, losses and the validation score; in a log also after each validation."""

    def __init__(self, checkpoints: Checkpoints, steps: int, stream=None):
        super().__init__()
        self.checkpoints, self.steps, self.stream = checkpoints, steps, stream
        self.bar, self.validation = None, ""

    def on_train_begin(self, logs=None):
        if self.bar is None:  # `fit` is called once between two validations
            self.bar = Bar(self.steps, unit="step", start=self.checkpoints.step, stream=self.stream)

    def on_train_batch_end(self, batch, logs=None):
        self.bar.move(1, self._text(logs))

    def on_epoch_end(self, epoch, logs=None):
        if "val_psnr_y" in (logs or {}):
            self.validation = f"val {logs['val_psnr_y']:.2f} dB"
        self.bar.show(self._text(logs))

    def on_train_end(self, logs=None):
        if self.checkpoints.step >= self.steps or self.checkpoints.stop_signal is not None:
            self.bar.close()

    def _text(self, logs) -> str:
        losses = [f"{name} {float(value):.4g}" for name, value in (logs or {}).items() if name.startswith("loss/")]
        return "  ".join([self.validation, *losses]).strip()


class CsvLog(keras.callbacks.Callback):
    """Write one row per validation to `log.csv`; drop rows past the step that a run resumes from."""

    def __init__(self, path, checkpoints: Checkpoints):
        super().__init__()
        self.path, self.checkpoints, self.rows = Path(path), checkpoints, []
        if self.path.exists():
            with open(self.path, newline="") as file:
                self.rows = [row for row in csv.DictReader(file) if int(row["step"]) <= checkpoints.step]
            self._write(self.rows)

    def _write(self, rows: list[dict]) -> None:
        """Write all rows; missing columns are left empty."""
        with files.write_aside(self.path) as temporary, open(temporary, "w", newline="") as file:
            writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
            writer.writeheader()
            writer.writerows(rows)

    def on_epoch_end(self, epoch, logs=None):
        row = {"step": self.checkpoints.step, "learning_rate": float(self.model.learning_rate())}
        row |= {name.replace("val_", "val/"): float(value) for name, value in (logs or {}).items()}
        self._write([*self.rows, row])
        self.rows.append(row)


class TensorBoard(keras.callbacks.Callback):
    """Write the rows of `log.csv` as TensorBoard events, and strips bicubic | SR | HR of validation pictures.

    Args:
        folder: of the event files; each start of a run adds one.
        checkpoints: the run's.
        pairs: validation data, (LR, HR) batches.
        pictures: number of strips.
        side: of the strips' centre crop, in LR pixels, at most.
    """

    def __init__(self, folder, checkpoints: Checkpoints, pairs: tf.data.Dataset, pictures: int = 3, side: int = 48):
        super().__init__()
        self.checkpoints, self.pairs, self.pictures, self.side = checkpoints, pairs, pictures, side
        self.writer = tf.summary.create_file_writer(str(folder))

    def on_epoch_end(self, epoch, logs=None):
        with self.writer.as_default(step=self.checkpoints.step):
            tf.summary.scalar("learning_rate", self.model.learning_rate())
            for name, value in (logs or {}).items():
                tf.summary.scalar(name.replace("val_", "val/"), value)
            for i, (lr, hr) in enumerate(self.pairs.take(self.pictures)):
                tf.summary.image(f"bicubic, SR, HR/{i}", self._strip(lr, hr))
        self.writer.flush()

    def _strip(self, lr, hr) -> tf.Tensor:
        scale = self.model.generator.scale
        height, width = (min(n, self.side) for n in lr.shape[1:3])
        top, left = (lr.shape[1] - height) // 2, (lr.shape[2] - width) // 2
        lr = lr[:, top : top + height, left : left + width]
        hr = hr[:, top * scale : (top + height) * scale, left * scale : (left + width) * scale]
        sr = to_uint8(self.model(to_lr_range(lr)))
        return tf.concat([enlarge(lr, scale), sr, hr], axis=2)


class Hints(keras.callbacks.Callback):
    """Warn once per failure mode seen twice running.

    The thresholds are our choice: D nearly certain of both HR and SR; a content loss ten times off the MSE that its
    scale should match (section 3.2), so that one loss drowns the other.
    """

    def __init__(self):
        super().__init__()
        self.in_a_row = {}

    def on_epoch_end(self, epoch, logs=None):
        logs = logs or {}
        ratio = logs.get("ratio/content_mse", 1)
        shown = {
            "D wins (d/real near 1, d/fake near 0), so G learns little; try --label_smoothing=0.1, "
            "--adversarial=relativistic or --spectral_norm": logs.get("d/real", 0) > 0.95 and logs["d/fake"] < 0.05,
            "the content loss is ten times off the MSE that it should match (ratio/content_mse); check the "
            "feature network's weights": not 0.1 <= ratio <= 10,
        }
        for hint, shows in shown.items():
            self.in_a_row[hint] = self.in_a_row.get(hint, 0) + 1 if shows else 0
            if self.in_a_row[hint] == 2:
                logging.warning("%s", hint)
