"""The requirements files name what pyproject.toml asks for, with the same bounds."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def split(line: str) -> tuple[str, set[str]]:
    """A requirement's name and its bounds."""
    name = line.split(" ")[0]
    for sign in "<>=":
        name = name.split(sign)[0]
    return name, set(line.removeprefix(name).split(",")) - {""}


@pytest.mark.parametrize(
    ("file", "extras"), [("requirements.txt", ["train"]), ("requirements-addons.txt", ["addons", "train"])]
)
def test_requirements_are_those_of_the_project(file, extras):
    lines = [line for line in (ROOT / file).read_text().splitlines() if line and line[0] not in "#-"]
    given = dict(map(split, lines))
    wanted = [*PROJECT["dependencies"], *(one for extra in extras for one in PROJECT["optional-dependencies"][extra])]
    for name, bounds in map(split, wanted):
        if name in ("srgan_tf[train]", "tensorflow"):  # each stack has its own bounds of TensorFlow
            continue
        assert name in given, f"{file} lacks {name}"
        assert {bound for bound in bounds if bound[0] == ">"} <= given[name] | {""}, f"{file}: {name} has other bounds"


def test_every_tool_of_the_tests_is_in_dev():
    dev = {split(line)[0] for line in PROJECT["optional-dependencies"]["dev"]}
    given = {split(line)[0] for line in (ROOT / "requirements.txt").read_text().splitlines()}
    assert dev - {"ruff", "mypy"} <= given
