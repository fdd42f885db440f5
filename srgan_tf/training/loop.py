"""A recipe, pictures and a folder → a trained generator: started, stopped, resumed."""

import dataclasses
import importlib.metadata
import json
import sys
import time
from pathlib import Path

import keras
import tensorflow as tf
from absl import logging

from srgan_tf import machine
from srgan_tf.data import Photos, downscale, patches
from srgan_tf.data.bundled import PHOTOS
from srgan_tf.errors import BenchmarkError, ImageError, TrainingError
from srgan_tf.evaluation import evaluate, page, sheets
from srgan_tf.io import files, images
from srgan_tf.training import strategy as strategies
from srgan_tf.training.build import build, check, feature_network, first_stage
from srgan_tf.training.callbacks import Checkpoints, CsvLog, Hints, ProgressLine, TensorBoard
from srgan_tf.training.model import SRGAN
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
    """Train by a recipe, or go on with the run that lies in `output`.

    Args:
        recipe: the hyper-parameters.
        output: the run's folder: `run.json` (settings, versions, data), `checkpoints/`, `log.csv`, `tensorboard/`.
        data: HR pictures (`Photos`, or what it takes, or a `tf.data.Dataset`); the bundled ones by default.
        data_lr: the folder of their LR pictures; without it LR is made by MATLAB's bicubic.
        validation: HR pictures to score; the bundled held-out ones by default.
        init: weights to start from, anything that `weights.load` takes. Without it a recipe that starts from
            another trains that one first, in a folder of its name inside output.
        feature_weights: VGG-19 weights on disk (see `vgg.load`).
        deterministic: the same bits every time, some per cent slower.
        save_seconds: time between checkpoints.
        catch_signals: end cleanly, saved, on SIGTERM and Ctrl-C.
        strategy: of `strategy.choose`: the devices and machines to train on, which share recipe.batch. All workers
            need the same data and see the same `output`; the chief alone writes there.

    Returns:
        The model, and the signal that stopped it before its last step (0: none did).

    Raises:
        TrainingError: other settings lie in `output`, a loss became infinite or NaN, or no checkpoint is whole.
        ImageError, WeightsError: data or init cannot be used.
        StrategyError: the devices cannot share the batch, or another worker was lost.
    """
    output, strategy = Path(output), strategies.choose(strategy)
    chief = strategies.is_chief(strategy)
    check(recipe)  # a wrong name must be told before anything is trained
    if recipe.precision == "mixed_bfloat16" and not machine.has_bfloat16():
        logging.warning("this device does not multiply bfloat16, which makes it slow: use --precision=float32")
    if deterministic:
        tf.config.experimental.enable_op_determinism()
    keras.utils.set_random_seed(recipe.seed)
    photos = data
    if not isinstance(data, (tf.data.Dataset, Photos)):
        photos = Photos(data or str(PHOTOS / "train"), recipe.crop, data_lr, recipe.scale)
    fingerprint = photos.fingerprint() if isinstance(photos, Photos) else "tf.data.Dataset"
    run = _claim(output, recipe, fingerprint, init)
    if recipe.starts_from and init is None:
        first = first_stage(recipe)
        init = output / first.name
        print(f"{recipe.name} starts from {first.name} and no --init is given: {init} first", file=sys.stderr)
        model, stopped = train(
            *(first, init, photos, None, validation, None, None, deterministic, save_seconds, catch_signals),
            strategy,
        )
        if stopped:
            return model, stopped
    with strategy.scope():
        network = None
        if recipe.features:
            # What `auto` found is the run's for good: a resumed run must not change its loss.
            network = feature_network(recipe, run.get("feature_network"), feature_weights)
            run |= {"feature_network": network.network, "features": network.name}
        model = build(recipe, init, network)
    if chief:
        _write_run(output, run)
    checkpoints = Checkpoints(output / "checkpoints", model, save_seconds, writes=chief)
    step = checkpoints.restore()
    if step == 0 and any((output / "checkpoints").glob("step-*")):
        raise TrainingError(f"{output}: no checkpoint is whole; give another --output, or remove the damaged ones")
    strategies.agree(strategy, recipe=recipe, data=fingerprint, features=run.get("features"), checkpoint=step)
    if catch_signals:
        checkpoints.catch_signals()
    if step:
        print(f"going on at step {step} of {recipe.steps}", file=sys.stderr)
    pairs = validation_pairs(validation, recipe.scale)
    watchers = [checkpoints]
    if chief:
        # No pictures with several workers: Keras 2.15's batch norm would ask all of them for its statistics.
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
                validation_data=strategies.everywhere(strategy, pairs),
                validation_steps=int(pairs.cardinality()),
                callbacks=watchers,
                shuffle=False,
                verbose=0,
            )
        strategies.agree(strategy, step=checkpoints.step)  # the chief has written its last checkpoint
    return model, checkpoints.stop_signal or 0


def validation_pairs(source, scale: int) -> tf.data.Dataset:
    """(LR, HR) uint8 pictures of a folder, one a batch, HR cut to multiples of scale, LR by MATLAB's bicubic."""
    pictures = [images.read(path) for path in files.find(source or str(PHOTOS / "heldout"))]
    if not pictures:
        raise ImageError(f"--validation={source}: no picture there")

    def pairs():
        for hr in pictures:
            height, width = (side // scale * scale for side in hr.shape[:2])
            hr = hr[None, :height, :width]
            yield downscale(hr, scale), hr

    spec = tf.TensorSpec((1, None, None, 3), tf.uint8)
    dataset = tf.data.Dataset.from_generator(pairs, output_signature=(spec, spec)).cache()
    return dataset.apply(tf.data.experimental.assert_cardinality(len(pictures)))


def _claim(output: Path, recipe: Recipe, fingerprint: str, init) -> dict:
    """What is written down of the run: new, or, where one lies there, checked to be of the same settings."""
    settings = {**dataclasses.asdict(recipe), "data": fingerprint, "init": str(init) if init is not None else None}
    path = output / "run.json"
    if path.exists():
        try:
            run = json.loads(path.read_text())
            # Fields that are younger than the run stand at their defaults.
            there = {f.name: f.default for f in dataclasses.fields(Recipe)} | run["settings"]
        except (ValueError, KeyError):
            raise TrainingError(f"{path} is damaged; give another --output or remove it") from None
        changed = [f"{k}: {there.get(k)!r} there, {v!r} now" for k, v in settings.items() if there.get(k) != v]
        if changed:
            raise TrainingError(f"{output} holds another run ({'; '.join(changed)}); give another --output")
        return run
    versions = {name: importlib.metadata.version(name) for name in ("tensorflow", "keras", "numpy", "pillow")}
    return {"settings": settings, "versions": versions, "started": time.ctime()}


def _write_run(output: Path, run: dict) -> None:
    output.mkdir(parents=True, exist_ok=True)
    with files.write_aside(output / "run.json") as temporary:
        Path(temporary).write_text(json.dumps(run, indent=2) + "\n")


def summary(recipe: Recipe, output, validation=None, command: str = "") -> str:
    """Score the run, and its first stage, beside bicubic, with a sheet a picture; the commands to type next.

    command: what made the run, for the results.
    """
    output, validation = Path(output), validation or str(PHOTOS / "heldout")
    stages = [output / recipe.starts_from] if recipe.starts_from else []
    sources = [str(run) for run in (*stages, output) if (run / "run.json").exists()]
    folder = output / "evaluation"
    for run in sources:
        sheets.write_curves(Path(run) / "curves.png", Path(run) / "log.csv")
    try:
        evaluate.evaluate(sources, [validation], folder, networks=("alex",), sheet=True, command=command)
    except BenchmarkError as error:  # pictures too small to score: the training is done all the same
        print(f"not scored: {error}", file=sys.stderr)
    return (
        f"\nreport:  {page.write(output)}\n"
        f"sheets:  {folder}/sheets\n"
        f"curves:  {output}/curves.png\n"
        f"weights: {output}\n"
        f"next:    python upscale.py photo.jpg --weights={output}\n"
        f"         python evaluate.py --weights={','.join(sources)} --benchmark=Set5 --data_dir=FOLDER"
    )
