"""Show what the tests find: change one expression of the package at a time, and run the tests of its room.

    python -m tools.mutants FOLDER [--old=FOLDER] [--count=120] [--seed=1] [--part=K/N]

FOLDER is a clone, which is changed and put back; nothing else may work in it. With --old, only statements that are in
both clones are changed, and a mutant that lives is tried in the old one too: if it dies there, something was
lost. Where `pytest --cov=srgan_tf --cov-context=test` (pytest-cov) ran in FOLDER before, the tests that pass a mutant's
lines run first: seconds in place of minutes for one that dies (beside `-n0`, `--dist=no`: else no test is noted).

Prints a line per mutant: the room, killed or lives, the place, the expression and what it became, the test.
"""

import argparse
import ast
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SWAPS = {
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult},
    **{ast.Mod: ast.Mult, ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot},
    **{ast.IsNot: ast.Is, ast.And: ast.Or, ast.Or: ast.And},
}
# Of a room: its files, and the tests that know it, the nearest first.
ROOMS = {
    "models": (
        "models/*.py",
        "models/test_srresnet.py models/test_compact.py models/test_discriminators.py models/test_vgg.py "
        "models/test_contract.py models/foreign/test_generators.py training/test_model.py",
    ),
    "losses": ("training/losses.py", "training/test_losses.py training/test_model.py"),
    "train_step": ("training/model.py", "training/test_model.py training/test_keras_habits.py training/test_loop.py"),
    "bicubic": ("data/bicubic.py data/cubic.py", "data inference/test_upscaling.py"),
    "tiling": (
        "inference/*tiling.py",
        "inference/test_upscaling.py inference/test_runners.py export/test_saved_model.py models/test_contract.py",
    ),
    "back-projection": ("inference/pipeline.py", "inference/test_upscaling.py export/test_saved_model.py"),
    "condition": ("inference/condition.py", "inference/test_auto.py inference/test_one_picture.py"),
    "io": ("io/*.py", "io inference/test_one_picture.py cli/test_upscale.py"),
    "planner": (
        "planning/*.py",
        "planning bulk/test_storage.py cli/test_batch.py cli/test_plan.py cli/test_upscale.py",
    ),
}


@dataclass(frozen=True)
class Mutant:
    """An expression, where it is in each clone, and what it becomes."""

    room: str
    places: tuple[tuple[Path, ast.expr], ...]
    after: str

    def __str__(self):
        path, node = self.places[0]
        return f"{'/'.join(path.parts[-2:])}:{node.lineno} {ast.unparse(node)} → {self.after}"


def statements(root: Path, patterns: str) -> dict[str, tuple[Path, ast.AST]]:
    """Return the statements of functions, of a compound one its head, by syntax tree: those that are there once."""
    found: dict[str, tuple[Path, ast.AST]] = {}
    paths = sorted(path for pattern in patterns.split() for path in (root / "srgan_tf").glob(pattern))
    nodes = [(path, node) for path in paths for node in ast.walk(ast.parse(path.read_text()))]
    inside = [(path, inner) for path, node in nodes if isinstance(node, ast.FunctionDef) for inner in ast.walk(node)]
    twice = set()
    for path, node in inside:
        match node:
            case ast.If(test=part) | ast.While(test=part) | ast.For(iter=part):
                pass
            case ast.Assign() | ast.AugAssign() | ast.Return() | ast.Expr() | ast.Assert():
                part = node
            case _:
                continue
        what = ast.dump(part)
        if what in found and found[what][1].lineno != part.lineno:
            twice.add(what)
        found[what] = path, part
    return {what: place for what, place in found.items() if what not in twice}


def changed(node: ast.AST) -> ast.expr | None:
    """Return what an expression becomes, if it is one of those that are changed."""
    match node:
        case ast.BinOp(left, op, right) if type(op) in SWAPS:
            return ast.BinOp(left, SWAPS[type(op)](), right)
        case ast.BoolOp(op, values):
            return ast.BoolOp(SWAPS[type(op)](), values)
        case ast.Compare(left, [op], right):
            return ast.Compare(left, [SWAPS[type(op)]()], right)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand):
            return operand
        case ast.Constant(bool() as value):
            return ast.Constant(not value)
        case ast.Constant(int() | float() as value):
            return ast.Constant(value + 1)
    return None


def mutants(room: str, found: list[tuple[Path, ast.AST]]) -> Iterator[Mutant]:
    """Yield all mutants of a statement, which is the same in each clone; what messages show stays."""
    shown = {id(node) for part in ast.walk(found[0][1]) if isinstance(part, ast.JoinedStr) for node in ast.walk(part)}
    for nodes in zip(*(ast.walk(statement) for _, statement in found)):
        new = changed(nodes[0])
        if new is not None and id(nodes[0]) not in shown:
            places = tuple((path, node) for (path, _), node in zip(found, nodes))
            yield Mutant(room, places, ast.unparse(ast.fix_missing_locations(new)))


def choose(roots: list[Path], count: int, seed: int) -> list[Mutant]:
    """Choose as many mutants of each room, by lot."""
    rng, chosen = random.Random(seed), []
    old = [statements(root, "**/*.py") for root in roots[1:]]
    for number, (room, (patterns, _)) in enumerate(ROOMS.items()):
        same = [
            [place, *(there[what] for there in old)]
            for what, place in statements(roots[0], patterns).items()
            if all(what in there for there in old)
        ]
        sites = [mutant for found in same for mutant in mutants(room, found)]
        chosen += rng.sample(sites, min((count - len(chosen)) // (len(ROOMS) - number), len(sites)))
    return chosen


def passing(root: Path, path: Path, node: ast.expr) -> list[str]:
    """Return the tests that pass a mutant's lines, as pytest-cov noted them."""
    if not (root / ".coverage").exists():
        return []
    from coverage import CoverageData

    data = CoverageData(str(root / ".coverage"))
    data.read()
    by_line = data.contexts_by_lineno(str(path))
    tests = {test.split("|")[0] for line in range(node.lineno, node.end_lineno + 1) for test in by_line.get(line, ())}
    return sorted(tests - {""})


def killer(mutant: Mutant, root: Path, place: tuple[Path, ast.expr]) -> str:
    """Run tests on the mutant, those that pass its lines, then all of its room; return what failed, "" if it lives."""
    room = [f"tests/{one}" for one in ROOMS[mutant.room][1].split() if (root / "tests" / one).exists()]
    near, skipped = sorted(passing(root, *place), key=lambda test: not test.startswith(tuple(room))), []
    for tests in filter(None, (near, room)):
        while found := failure(root, place, mutant.after, tests, skipped):
            if "::" not in found or not failure(root, place, ast.unparse(place[1]), [found], []):
                return found
            skipped.append(found)  # it fails without the mutant, too
    return ""


def failure(root: Path, place: tuple[Path, ast.expr], after: str, tests: list[str], skipped: list[str]) -> str:
    """Run tests on the changed file; return the one that failed, or ""."""
    path, node = place
    source = path.read_bytes()
    lines = source.splitlines(keepends=True)
    start, end = (
        sum(map(len, lines[: line - 1])) + column
        for line, column in ((node.lineno, node.col_offset), (node.end_lineno, node.end_col_offset))
    )
    command = [sys.executable, "-m", "pytest", "-qx", "-n0", "-p", "no:cacheprovider", *tests]
    command += [f"--deselect={one}" for one in skipped]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        path.write_bytes(source[:start] + f"({after})".encode() + source[end:])
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=1200)
    except subprocess.TimeoutExpired:
        return "no end in 20 minutes"
    finally:
        path.write_bytes(source)
    failed = [line for line in done.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    if done.returncode in (0, 5):  # 5: all were left out
        return ""
    return failed[0].split(maxsplit=1)[1].split(" - ")[0] if failed else f"exit code {done.returncode}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--old", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", default="1/1", help="K/N: every Nth of them, from the Kth on")
    options = parser.parse_args()
    roots = [root.resolve() for root in (options.folder, options.old) if root]
    for root in roots:
        collect = [sys.executable, "-m", "pytest", "-q", "-n0", "--collect-only"]
        subprocess.run(collect, cwd=root, env=os.environ | {"PYTHONPATH": str(root)}, check=True, stdout=-3)
    part, parts = map(int, options.part.split("/"))
    counts = {"killed": 0, "lives": 0, "lost": 0}
    for mutant in choose(roots, options.count, options.seed)[part - 1 :: parts]:
        found = killer(mutant, roots[0], mutant.places[0])
        result = "killed" if found else "lives"
        if not found and options.old and (found := killer(mutant, roots[1], mutant.places[1])):
            result = "lost"
        counts[result] += 1
        print(f"{mutant.room}: {result}: {mutant}  {found}", flush=True)
    print(counts)


if __name__ == "__main__":
    main()
