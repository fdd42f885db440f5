"""A recipe's fields carry their help and their choices, for train.py --help and for whoever builds one in Python."""

import dataclasses

import pytest

from srgan_tf.cli import train
from srgan_tf.training.recipes import GROUPS, Recipe

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
