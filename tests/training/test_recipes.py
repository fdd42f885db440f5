"""A recipe's fields carry their help and their choices, for train.py --help and for whoever builds one in Python."""

import dataclasses

import numpy as np
import pytest

from srgan_tf.cli import train
from srgan_tf.errors import WeightsError
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator
from srgan_tf.training.build import build, feature_network
from srgan_tf.training.recipes import GROUPS, RECIPES, Recipe

FIELDS = [field for field in dataclasses.fields(Recipe) if field.name != "name"]


def test_help_lists_every_field_with_its_text_in_the_order_of_the_groups():
    first, *groups = train.command.help("train.py").split("\n\n")[2:]
    assert first.startswith("flags:\n") and "--recipe" in first
    assert [group.splitlines()[0] for group in groups] == [f"{title}:" for title in GROUPS]
    listed = dict(line.strip().split(": ", 1) for group in groups for line in group.splitlines()[1:])
    assert listed.keys() == {f"--{field.name}" for field in FIELDS}
    for field in FIELDS:
        text, options = listed[f"--{field.name}"], "|".join(map(str, field.metadata["choices"]))
        assert len(field.metadata["help"]) > 5
        assert text == (f"<{options}>: " if options else "") + field.metadata["help"]


@pytest.mark.parametrize(
    "field", [field for field in FIELDS if field.metadata["choices"]], ids=lambda field: field.name
)
def test_what_is_not_of_the_choices_is_refused(field):
    with pytest.raises(ValueError, match=f"^{field.name} must be one of {field.metadata['choices'][0]}, .* not 0$"):
        Recipe("x", 1, **{field.name: 0})


def test_flags_change_the_field_of_their_name_alone():
    flags, _ = train.command.parse(["--recipe=srgan", "--scale=2", "--nodiscriminator", "--learning_rate=3e-4"])
    changed = {field.name: flags[field.name].value for field in FIELDS if flags[field.name].value is not None}
    assert changed == {"scale": 2, "discriminator": False, "learning_rate": 3e-4}


def test_d_has_its_own_width_and_rate():
    """Adam's first step moves a weight by the learning rate, whatever its gradient is."""
    small = {"blocks": 1, "channels": 8, "crop": 32, "d_filters": 24, "d_rate": 5.0, "schedule": "constant"}
    recipe = dataclasses.replace(RECIPES["srgan-real"], **small)
    model = build(recipe, network=feature_network(recipe))
    assert {head[0][1].filters for head in model.discriminator.heads} == {24}
    networks = (model.generator, model.discriminator)
    before = [[np.array(v) for v in network.trainable_variables] for network in networks]
    model.train_step(np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8))
    g, d = (
        np.median(np.concatenate([abs(np.array(v) - old).ravel() for v, old in zip(network.trainable_variables, olds)]))
        for network, olds in zip(networks, before)
    )
    assert g == pytest.approx(2e-4, rel=0.02) and d == pytest.approx(5 * g, rel=0.02)


@pytest.mark.parametrize(
    ("field", "value"),
    [("d_rate", 0.0), ("learning_rate", -1.0), ("tv_weight", -1e-8), ("seed", -1), ("ema_decay", 1.0), ("everyday", 2)],
)
def test_numbers_out_of_range_are_refused(field, value):
    with pytest.raises(ValueError, match=f"^{field} must be (above|at least|in) .*, not {value}"):
        Recipe("x", 1, **{field: value})


def test_a_width_that_no_discriminator_has_is_refused():
    with pytest.raises(ValueError, match=r"^d_filters is of a discriminator on VGG features"):
        dataclasses.replace(RECIPES["srgan"], d_filters=128)


def test_initial_weights_of_another_size_say_what_differs(tmp_path):
    weights.save_weights(Generator(2, 8, scale=2, batch_norm=False), tmp_path / "x2.npz")
    recipe = dataclasses.replace(RECIPES["demo-srresnet"], blocks=1, channels=8)
    with pytest.raises(WeightsError, match=r"x2\.npz: .* it has blocks 2, scale 2, unlike this run"):
        build(recipe, tmp_path / "x2.npz")
