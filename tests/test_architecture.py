"""The house keeps its plan: imports run downwards only, and upscaling's own modules need no TensorFlow."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

PACKAGE = ROOT / "srgan_tf"
# From the ground up; a room may import from itself and from those below it. Modules beside the rooms are on the ground.
FLOORS = ("io", "data planning", "models", "inference", "evaluation", "training export bulk video", "cli")
LEVEL = {room: floor for floor, rooms in enumerate(FLOORS, 1) for room in rooms.split()}


def imported(path):
    """Modules of the package that a file names in an import, wherever in the file, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            yield node.module, node.lineno
            for alias in node.names:  # `from srgan_tf import models`
                yield f"{node.module}.{alias.name}", node.lineno


def test_imports_run_downwards_only():
    wrong = []
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).parts
        if len(parts) == 1 and parts[0] in ("__init__.py", "__main__.py"):  # the door
            continue
        mine, room = LEVEL.get(parts[0], 0), parts[0]
        for module, line in imported(path):
            there = module.split(".")[1] if module.startswith("srgan_tf.") else ""
            if LEVEL.get(there, 0) > mine or (there in LEVEL and LEVEL[there] == mine and there != room):
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles():
    """Between modules, imports inside functions included; `if TYPE_CHECKING` of the package's door is not code."""
    graph = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        graph[name] = {module for module, _ in imported(path)} if path != PACKAGE / "__init__.py" else set()
    graph = {name: {other for other in found if other in graph and other != name} for name, found in graph.items()}
    for found in graph.values():  # what a package's own `from package import module` names is the module
        found -= {other for other in found if any(one.startswith(f"{other}.") for one in found)}

    def visit(name, above):
        assert name not in above, " → ".join([*above[above.index(name) :], name])
        for other in graph[name] - done:
            visit(other, [*above, name])
        done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, [])


def test_no_file_has_two_jobs_worth_of_lines():
    long = {path.name: len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py")}
    assert not {name: lines for name, lines in long.items() if lines > 350}


@pytest.mark.parametrize(
    "module",
    [
        *("srgan_tf", "srgan_tf.cli", "srgan_tf.io.images", "srgan_tf.io.encoding", "srgan_tf.data.levels"),
        *("srgan_tf.data.cubic", "srgan_tf.models.weights"),
        *(
            f"srgan_tf.inference.{name}"
            for name in ("tiling", "litert", "lite_model", "pipeline", "runners", "upscaling")
        ),
        *("srgan_tf.training.recipes", "srgan_tf.models", "srgan_tf.inference.pictures"),
    ],
)
def test_imports_without_tensorflow(module):
    code = f"import sys, {module}; print(*{{'tensorflow', 'keras'}} & set(sys.modules))"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert said.stdout.strip() == ""
