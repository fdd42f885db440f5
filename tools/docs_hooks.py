"""What MkDocs fills in when it builds: links into the repository, the programs' help, tables of what the code has."""

import dataclasses
import re
from pathlib import Path

from srgan_tf.cli import main
from srgan_tf.training.recipes import RECIPES, Recipe

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, page, config, files) -> str:
    markdown = re.sub(r"<!-- help: (\w+) -->", lambda found: _help(found[1]), markdown)
    markdown = markdown.replace("<!-- recipes -->", _recipes()).replace("<!-- settings -->", _settings())
    folder = (ROOT / "docs" / page.file.src_path).parent
    return re.sub(r"(?<!!)\[([^\]]+)\]\(([\w./-]+)\)", lambda found: _link(*found.groups(), folder, config), markdown)


def _link(text: str, target: str, folder: Path, config) -> str:
    """A link that leaves docs/ is one into the repository, whose address a build may not know."""
    path = (folder / target).resolve()
    if path.is_relative_to(ROOT / "docs"):
        return f"[{text}]({target})"
    if not path.exists():
        raise FileNotFoundError(f"{folder}: {target} is not in the repository")
    place = path.relative_to(ROOT).as_posix()
    if config.repo_url:
        return f"[{text}]({config.repo_url.rstrip('/')}/blob/main/{place})"
    return f"{text} (`{place}`)" if place not in text else text


def _help(program: str) -> str:
    return f"```text\n{main.program(program).help(f'srgan-tf {program}')}\n```"


def _recipes() -> str:
    ignored = {"name", "steps"}
    rows = ["| Recipe | Steps | What differs from the defaults |", "|---|--:|---|"]
    for recipe in RECIPES.values():
        differing = [
            f"`--{field.name}={getattr(recipe, field.name)}`"
            for field in dataclasses.fields(Recipe)
            if field.name not in ignored and getattr(recipe, field.name) != field.default
        ]
        rows.append(f"| `{recipe.name}` | {recipe.steps:,} | {' '.join(differing)} |")
    return "\n".join(rows)


def _settings() -> str:
    rows = ["| Flag | Default | Meaning |", "|---|---|---|"]
    for field in dataclasses.fields(Recipe):
        if "help" in field.metadata:
            default = "by the recipe" if field.default is dataclasses.MISSING else field.default
            rows.append(f"| `--{field.name}` | {default!s} | {field.metadata['help']} |".replace(" |  |", " | none |"))
    return "\n".join(rows)
