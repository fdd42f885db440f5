"""Train a generator by a recipe, or go on with a run that was stopped.

python train.py                                             the demo: some minutes, no data, no network
python train.py --recipe=srresnet --data=DIV2K_train_HR     the paper's SRResNet
"""

import dataclasses
import os
import shlex
import sys

from absl import flags

from srgan_tf.cli import fail, import_tensorflow, run
from srgan_tf.training.recipes import RECIPES, Recipe

FLAGS = flags.FLAGS
flags.DEFINE_enum("recipe", "demo", list(RECIPES), "what to train, and how")
flags.DEFINE_string("output", None, "folder of the run; the same command goes on there (default: runs/RECIPE)")
flags.DEFINE_string("data", None, "folder or pattern of HR pictures (default: the bundled photographs)")
flags.DEFINE_string("data_lr", None, "folder of their LR pictures (default: made by MATLAB's bicubic)")
flags.DEFINE_string("validation", None, "HR pictures to score: a folder or pattern (default: bundled held-out ones)")
flags.DEFINE_string("init", None, "weights to start from: a run, an .npz, a .keras")
flags.DEFINE_string("feature_weights", None, "VGG-19 weights on disk (keras.applications' .h5 without top)")
flags.DEFINE_string("strategy", "auto", "one device, mirrored (all GPUs), multiworker (TF_CONFIG), or auto")
flags.DEFINE_bool("deterministic", False, "the same bits every time, somewhat slower")
flags.DEFINE_float("save_seconds", 45, "seconds between checkpoints: at most so much work is lost")
_FIELDS = [field for field in dataclasses.fields(Recipe) if field.name != "name"]
for _field in _FIELDS:
    _define = {int: flags.DEFINE_integer, float: flags.DEFINE_float, bool: flags.DEFINE_bool, str: flags.DEFINE_string}
    _define[_field.type](_field.name, None, f"override the recipe's {_field.name} (see srgan_tf/recipes.py)")


def main(arguments: list[str]) -> None:
    if arguments:
        fail(f"unexpected argument {arguments[0]!r}; flags are written --name=value", 2)
    changes = {field.name: FLAGS[field.name].value for field in _FIELDS if FLAGS[field.name].value is not None}
    try:
        recipe = dataclasses.replace(RECIPES[FLAGS.recipe], **changes)
    except ValueError as error:
        fail(f"--{error}", 2)
    output = FLAGS.output or os.path.join("runs", recipe.name)
    # Convolutions of training's size are twice as fast in oneDNN, which TensorFlow itself only picks on some CPUs.
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
    import_tensorflow()
    from srgan_tf import compat
    from srgan_tf.training import loop
    from srgan_tf.training import strategy as strategies

    compat.keep_memory()
    strategy = strategies.choose(FLAGS.strategy)
    _, stopped_by = loop.train(
        recipe,
        output,
        data=FLAGS.data,
        data_lr=FLAGS.data_lr,
        validation=FLAGS.validation,
        init=FLAGS.init,
        feature_weights=FLAGS.feature_weights,
        deterministic=FLAGS.deterministic,
        save_seconds=FLAGS.save_seconds,
        catch_signals=True,
        strategy=strategy,
    )
    command_line = shlex.join(["python", *sys.argv])
    if stopped_by:
        print(f"\nstopped, saved in {output}; to go on: {command_line}", file=sys.stderr)
        sys.exit(128 + stopped_by)
    if strategies.is_chief(strategy):
        print(loop.summary(recipe, output, FLAGS.validation, command_line))


def command() -> None:
    run(main, __doc__)
