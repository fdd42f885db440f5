"""Build the compiled training model of a recipe."""

import dataclasses
import inspect

from srgan_tf import compat
from srgan_tf.errors import TrainingError, WeightsError
from srgan_tf.models import generator_class, vgg, weights
from srgan_tf.models.discriminators import Discriminator, FeatureDiscriminator
from srgan_tf.training import losses
from srgan_tf.training.model import SRGAN
from srgan_tf.training.optimizers import of_recipe
from srgan_tf.training.recipes import RECIPES, Recipe


def first_stage(recipe: Recipe) -> Recipe:
    """Return the recipe that this one starts from, for the same generator."""
    same = ("generator", "scale", "blocks", "channels", "batch_norm", "seed", "precision", "jit_compile")
    return dataclasses.replace(RECIPES[recipe.starts_from], **{name: getattr(recipe, name) for name in same})


def check(recipe: Recipe) -> None:
    """Raise TrainingError for fields that the generator's class or the optimizers refuse."""
    try:
        of_recipe(recipe)
    except ValueError as error:
        raise TrainingError(f"--{error}") from None
    if recipe.zero_init and "zero_init" not in _arguments(recipe):
        raise TrainingError(f"--zero_init: --generator={recipe.generator} does not support it")


def _arguments(recipe: Recipe) -> dict:
    """Return the recipe's fields that are arguments of the generator's class."""
    taken = inspect.signature(generator_class(recipe.generator)).parameters
    return {name: value for name, value in dataclasses.asdict(recipe).items() if name in taken and name != "name"}


def feature_network(recipe: Recipe, found: str | None = None, path=None) -> vgg.FeatureNetwork:
    """Return the network of the recipe's content loss.

    Args:
        recipe: with `features`.
        found: the network that "auto" chose earlier in the run.
        path: VGG-19 weights on disk.
    """
    *also, layer = _layers(recipe.features)
    judged = [] if recipe.judges == "pixels" else _layers(recipe.judges)
    options = {"before_activation": recipe.before_activation, "distance": recipe.feature_loss}
    return vgg.load(found or recipe.feature_network, layer, path, also=also, judged=judged, **options)


def _layers(names: str) -> list[tuple[int, int]]:
    return sorted(tuple(map(int, one.split(","))) for one in names.split("+"))


def build(recipe: Recipe, init=None, network: vgg.FeatureNetwork | None = None) -> SRGAN:
    """Build the compiled training model of a recipe.

    Args:
        recipe: the hyper-parameters.
        init: initial weights, for `weights.load`.
        network: of the recipe's content loss (`feature_network`).

    Raises:
        WeightsError: init cannot be used. TrainingError: the generator does not support the requested start.
    """
    compat.set_precision(recipe.precision)
    generator = generator_class(recipe.generator)(**_arguments(recipe))
    discriminator = None
    if recipe.discriminator and recipe.judges != "pixels":
        discriminator = FeatureDiscriminator(network.judged, recipe.d_filters)
    elif recipe.discriminator:
        discriminator = Discriminator(recipe.crop, recipe.pooled, recipe.spectral_norm)
    try:
        if init is not None:
            start = weights.load(init)  # adding or folding batch norm keeps the function
            start = start.with_batch_norm() if generator.batch_norm else start.without_batch_norm()
            generator.set_arrays(start.get_arrays())
        elif recipe.interpolate_init:
            generator.start_as_interpolation()
    except WeightsError:
        raise
    except ValueError as error:
        if init is None:
            raise TrainingError(f"--{error}") from None
        there, here = start.architecture(), generator.architecture()
        apart = ", ".join(f"{name} {there.get(name)}" for name in here if there.get(name) != here[name])
        raise WeightsError(f"{init}: {error}; it has {apart or type(start).__name__}, unlike this run") from None
    if recipe.sync_batch_norm:
        for network_ in filter(None, (generator, discriminator)):
            compat.synchronize_batch_norm(network_)
    model = SRGAN(
        generator,
        discriminator,
        network,
        ema_decay=recipe.ema_decay or None,
        freeze_batch_norm=recipe.freeze_batch_norm,
        degradation=recipe.degradation,
        seed=recipe.seed,
        everyday=recipe.everyday,
        rounding=recipe.rounding,
    )
    options = {name: getattr(recipe, name) for name in losses.SETTINGS}
    model.compile(of_recipe(recipe), of_recipe(recipe, recipe.d_rate), jit_compile=recipe.jit_compile, **options)
    return model
