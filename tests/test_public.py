"""The public names: the same to Python, to type checkers and to editors."""

import ast
import subprocess
import sys

import pytest
from conftest import ROOT

import srgan_tf


def test_type_checkers_see_the_names_where_python_finds_them():
    tree = ast.parse((ROOT / "srgan_tf/__init__.py").read_text())
    (checked,) = (node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    seen = {alias.asname or alias.name: node.module for node in checked.body for alias in node.names}
    assert seen == srgan_tf._HOMES
    assert sorted(srgan_tf.__all__) == sorted([*srgan_tf._HOMES, "__version__"])
    assert all(getattr(srgan_tf, name) is not None for name in srgan_tf.__all__)


def test_importing_the_package_imports_nothing_heavy():
    code = "import srgan_tf, sys; print(any(name in sys.modules for name in ('tensorflow', 'numpy', 'tqdm')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout == "False\n", done.stderr
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = srgan_tf.no_such_name


def test_mypy_agrees_with_the_readme_and_finds_what_is_wrong():
    """By tests/typing/public.py, with the settings of pyproject.toml."""
    pytest.importorskip("mypy", reason="mypy is not installed here; .ci/run does so")
    done = subprocess.run([sys.executable, "-m", "mypy"], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
