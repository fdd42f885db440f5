"""Train by a recipe: start, stop and resume a run."""

import shlex
import sys
from contextlib import nullcontext
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from srgan_tf import machine
from srgan_tf.data.batches import Photos, patches
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.errors import BenchmarkError, TrainingError
from srgan_tf.evaluation import evaluate, page, sheets
from srgan_tf.training import runs
from srgan_tf.training import strategy as strategies
from srgan_tf.training.build import build, check, feature_network, first_stage
from srgan_tf.training.callbacks import Checkpoints, CsvLog, Hints, ProgressLine, TensorBoard
from srgan_tf.training.model import SRGAN
from srgan_tf.training.pairs import make_lr
from srgan_tf.training.recipes import Recipe


def train(
    recipe: Recipe,
    output,
    data=None,
    data_lr=None,
    validation=None,
    init=None,
    feature_weights=None,
    deterministic: bool = False,
    save_seconds: float = 45,
    catch_signals: bool = False,
    strategy="auto",
) -> tuple[SRGAN, int]:
    """Train by a recipe, or resume the run in `output`.

    Args:
        recipe: the hyper-parameters.
        output: the run's folder: `run.json` (settings, versions, data), `checkpoints/`, `log.csv`, `tensorboard/`.
        data: HR pictures (`Photos`, or what it takes, or a `tf.data.Dataset`); the bundled ones by default.
        data_lr: the folder of their LR pictures; without it LR is made by MATLAB's bicubic.
        validation: HR pictures to score; the bundled held-out ones by default.
        init: initial weights, anything that `weights.load` takes. Without it, a recipe that starts from another
            trains that one first, in a folder of its name inside output.
        feature_weights: VGG-19 weights on disk (see `vgg.load`).
        deterministic: reproduce every bit, some per cent slower.
        save_seconds: time between checkpoints.
        catch_signals: save and end on SIGTERM and Ctrl-C.
        strategy: for `strategy.choose`: the devices and machines, which share recipe.batch. All workers need the same
            data and the same `output`; only the chief writes there.

    Returns:
        The model, and the signal that stopped it before its last step, 0 if none did.

    Raises:
        TrainingError: `output` has other settings, another process trains there, the disk is full, a loss became
            infinite or NaN, or no checkpoint is complete.
        ImageError, WeightsError: data or init cannot be used.
        StrategyError: the devices cannot share the batch, or another worker was lost.
    """
    output, strategy = Path(output), strategies.choose(strategy)
    chief = strategies.is_chief(strategy)
    with runs.held(output) if chief else nullcontext():
        check(recipe)  # refuse wrong names before training anything
        if recipe.precision == "mixed_bfloat16" and not machine.has_bfloat16():
            logging.warning("bfloat16 is slow on this device, which has no hardware support; use --precision=float32")
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        keras.utils.set_random_seed(recipe.seed)
        photos = data
        if not isinstance(data, (tf.data.Dataset, Photos)):
            photos = Photos(data or str(PHOTOS / "train"), recipe.crop, data_lr, recipe.scale)
        fingerprint = photos.fingerprint() if isinstance(photos, Photos) else "tf.data.Dataset"
        run = runs.claim(output, recipe, fingerprint, init)
        if recipe.starts_from and init is None:
            first = first_stage(recipe)
            init = output / first.name
            print(
                f"{recipe.name} starts from {first.name}, and no --init is given: training {init} first",
                file=sys.stderr,
            )
            model, stopped = train(
                *(first, init, photos, None, validation, None, None, deterministic, save_seconds, catch_signals),
                strategy,
            )
            if stopped:
                return model, stopped
        with strategy.scope():
            network = None
            if recipe.features:
                # Keep what `auto` found: a resumed run must not change its loss.
                network = feature_network(recipe, run.get("feature_network"), feature_weights)
                run |= {"feature_network": network.network, "features": network.name}
            model = build(recipe, init, network)
        checkpoints = Checkpoints(output / "checkpoints", model, save_seconds, writes=chief)
        step = checkpoints.restore()
        if step == 0 and any((output / "checkpoints").glob("step-*")):
            raise TrainingError(f"{output}: all checkpoints are damaged; give another --output, or remove them")
        if chief:
            runs.write(output, run, step)
        strategies.agree(strategy, recipe=recipe, data=fingerprint, features=run.get("features"), checkpoint=step)
        if catch_signals:
            checkpoints.catch_signals()
        if step:
            print(f"resuming at step {step} of {recipe.steps}", file=sys.stderr)
        _fit(model, recipe, photos, validation_pairs(validation, recipe), checkpoints, output, strategy)
        return model, checkpoints.stop_signal or 0


def _fit(model: SRGAN, recipe: Recipe, photos, pairs, checkpoints: Checkpoints, output: Path, strategy) -> None:
    """Train from the checkpoints' step to the recipe's last, or to a signal."""
    watchers = [checkpoints]
    if checkpoints.writes:
        # No pictures with several workers: Keras 2.15's batch norm would wait for statistics of all of them.
        pictures = 3 if strategies.workers(strategy) == 1 else 0
        watchers += [
            CsvLog(output / "log.csv", checkpoints),
            TensorBoard(output / "tensorboard", checkpoints, pairs, pictures),
            ProgressLine(checkpoints, recipe.steps),
            Hints(),
        ]

    def crops(**share):
        share |= {"start": checkpoints.step, "candidates": recipe.candidates}
        return patches(photos, recipe.batch, recipe.crop, recipe.seed, **share)

    with strategies.watched(strategy, lambda: checkpoints.step):
        while checkpoints.step < recipe.steps and checkpoints.stop_signal is None:
            epoch = checkpoints.step // recipe.validate_every
            until = min((epoch + 1) * recipe.validate_every, recipe.steps)
            model.fit(
                strategies.distribute(strategy, recipe.batch, crops),
                steps_per_epoch=until - checkpoints.step,
                initial_epoch=epoch,
                epochs=epoch + 1,
                validation_data=strategies.replicate(strategy, pairs),
                validation_steps=int(pairs.cardinality()),
                callbacks=watchers,
                shuffle=False,
                verbose=0,
            )
        strategies.agree(strategy, step=checkpoints.step)  # the chief has written its last checkpoint


def validation_pairs(source, recipe: Recipe) -> tf.data.Dataset:
    """Return (LR, HR) uint8 pictures of a folder, one per batch; HR is cropped to multiples of the scale.

    LR is made as in training: by MATLAB's bicubic, or by the recipe's degradation with one seed per picture.

    Raises:
        ImageError: no picture is usable. Unreadable and too small ones are logged and left out.
    """
    scale, degraded = recipe.scale, recipe.degradation != "bicubic" or recipe.everyday
    smallest = (8 if degraded else 3) * scale  # a border of `scale` pixels is not scored
    photos = Photos(source or str(PHOTOS / "heldout"), smallest)

    def made():
        for i, picture in enumerate(photos.pairs):
            (hr,) = photos.read(picture)
            height, width = (side // scale * scale for side in hr.shape[:2])
            hr = hr[None, :height, :width]
            seed = tf.constant([recipe.seed, -1 - i])  # no training step has this seed
            yield make_lr(hr, scale, recipe.degradation, recipe.everyday, seed), hr

    spec = tf.TensorSpec((1, None, None, 3), tf.uint8)
    dataset = tf.data.Dataset.from_generator(made, output_signature=(spec, spec)).cache()
    return dataset.apply(tf.data.experimental.assert_cardinality(len(photos.pairs)))


def summary(recipe: Recipe, output, validation=None, command: str = "") -> str:
    """Score the run and its first stage beside bicubic, with one sheet per picture; return what to type next.

    command: that made the run, for the results.
    """
    output, validation = Path(output), validation or str(PHOTOS / "heldout")
    stages = [output / recipe.starts_from] if recipe.starts_from else []
    sources = [str(run) for run in (*stages, output) if (run / "run.json").exists()]
    folder = output / "evaluation"
    for run in sources:
        sheets.write_curves(Path(run) / "curves.png", Path(run) / "log.csv")
    try:
        evaluate.evaluate(sources, [validation], folder, networks=("alex",), sheet=True, command=command)
    except BenchmarkError as error:  # too small to score; the training is complete
        print(f"not scored: {error}", file=sys.stderr)
    return (
        f"\nreport:  {page.write(output)}\n"
        f"sheets:  {folder}/sheets\n"
        f"curves:  {output}/curves.png\n"
        f"weights: {output}\n"
        f"next:    srgan-tf upscale photo.jpg --weights={shlex.quote(str(output))}\n"
        f"         srgan-tf evaluate --weights={shlex.quote(','.join(sources))} --benchmark=Set5 --data_dir=FOLDER"
    )
