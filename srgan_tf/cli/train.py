"""Train a generator by a recipe, or resume a stopped run.

srgan-tf train                                             the demo: some minutes, no data, no network
srgan-tf train --recipe=srresnet --data=DIV2K_train_HR     the paper's SRResNet
"""

import dataclasses
import os
import sys

from srgan_tf.choices import STRATEGIES
from srgan_tf.cli import Program, command_line, fail, import_tensorflow
from srgan_tf.training.recipes import GROUPS, RECIPES, Recipe

FIELDS = [field for field in dataclasses.fields(Recipe) if field.name != "name"]


def define(flag) -> None:
    flag.enum("recipe", "demo", list(RECIPES), "hyper-parameters; the flags in the groups below change them")
    flag.string("output", None, "folder of the run; the same command resumes it (default: runs/RECIPE)")
    flag.string("data", None, "folder or pattern of HR pictures (default: the bundled photographs)")
    flag.string("data_lr", None, "folder of their LR pictures (default: made by MATLAB's bicubic)")
    flag.string("validation", None, "HR pictures to score: a folder or pattern (default: bundled held-out ones)")
    flag.string("init", None, "initial weights: a run, .npz, .keras, .pth or .safetensors")
    flag.string("feature_weights", None, "VGG-19 weights on disk (keras.applications' .h5 without top)")
    flag.enum("strategy", "auto", STRATEGIES, "mirrored: all GPUs; multiworker: the machines of TF_CONFIG")
    flag.bool("deterministic", False, "reproduce every bit, somewhat slower")
    flag.float("save_seconds", 45, "seconds between checkpoints: the most work that a crash can lose")
    kinds = {int: flag.integer, float: flag.float, bool: flag.bool, str: flag.string}
    for field in FIELDS:
        listed = "|".join(map(str, field.metadata["choices"]))
        kinds[field.type](field.name, None, (f"<{listed}>: " if listed else "") + field.metadata["help"])


def main(flags, arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; flags are written --name=value", 2)
    changes = {field.name: flags[field.name].value for field in FIELDS if flags[field.name].value is not None}
    try:
        recipe = dataclasses.replace(RECIPES[flags.recipe], **changes)
    except ValueError as error:
        fail(f"--{error}", 2)
    output = flags.output or os.path.join("runs", recipe.name)
    # oneDNN doubles the speed of training, and TensorFlow enables it on some CPUs only.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import_tensorflow()
    from srgan_tf import machine
    from srgan_tf.training import loop
    from srgan_tf.training import strategy as strategies

    machine.keep_memory()
    strategy = strategies.choose(flags.strategy)
    names = ("data", "data_lr", "validation", "init", "feature_weights", "deterministic", "save_seconds")
    options = {name: flags[name].value for name in names}
    _, stopped_by = loop.train(recipe, output, **options, catch_signals=True, strategy=strategy)
    if stopped_by:
        print(f"\nstopped, saved in {output}; to resume: {command_line()}", file=sys.stderr)
        sys.exit(128 + stopped_by)
    if strategies.is_chief(strategy):
        print(loop.summary(recipe, output, flags.validation, command_line()))


groups = {group: [field.name for field in FIELDS if field.metadata["group"] == group] for group in GROUPS}
command = Program(main, define, __doc__, groups)
