"""Keras' global settings that this package cannot work with, named before anything is imported or computed."""

import importlib.metadata
import json
import os
from pathlib import Path

from srgan_tf.errors import SettingsError


def check_files() -> None:
    """Look at the environment and keras.json alone, since Keras itself fails on import where they ask for too much.

    Raises:
        SettingsError: names the setting and the mend.
    """
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError):
        told = {}
    backend, where = os.environ.get("KERAS_BACKEND") or told.get("backend"), "KERAS_BACKEND"
    if not os.environ.get("KERAS_BACKEND"):
        where = f"backend in {path}"
    if backend not in (None, "", "tensorflow") and _is_keras_3():
        raise SettingsError(f"{where} is {backend!r}, and srgan_tf needs Keras on TensorFlow: set it to tensorflow")
    check(told.get("image_data_format"), told.get("floatx"), f" in {path}")


def check(image_data_format: str | None, floatx: str | None, where: str = "", policy: str | None = None) -> None:
    """Raise SettingsError where one of these Keras settings is another than the one that the package computes in."""
    if image_data_format not in (None, "channels_last"):
        raise SettingsError(f"image_data_format{where} is {image_data_format!r}; srgan_tf needs channels_last")
    if floatx not in (None, "float32"):
        raise SettingsError(f"floatx{where} is {floatx!r}; srgan_tf needs float32 (mixed_bfloat16 is a dtype policy)")
    if policy in ("bfloat16", "float16"):
        raise SettingsError(f"the dtype policy {policy!r} keeps weights in it; use mixed_{policy}")


def _is_keras_3() -> bool:
    try:
        return int(importlib.metadata.version("keras").split(".")[0]) >= 3
    except importlib.metadata.PackageNotFoundError:
        return False
