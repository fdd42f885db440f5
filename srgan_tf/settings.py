"""Validate Keras' global settings before importing Keras."""

import importlib.metadata
import json
import os
from pathlib import Path

from srgan_tf.errors import SettingsError


def check_files() -> None:
    """Validate the environment and keras.json before importing Keras, which fails on some settings.

    Raises:
        SettingsError: names the setting and its supported value.
    """
    path = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras")) / "keras.json"
    try:
        config = json.loads(path.read_text())
    except (OSError, ValueError):
        config = {}
    backend = os.environ.get("KERAS_BACKEND") or config.get("backend")
    where = "KERAS_BACKEND" if os.environ.get("KERAS_BACKEND") else f"backend in {path}"
    if backend not in (None, "", "tensorflow") and _is_keras_3():
        raise SettingsError(f"{where} is {backend!r}, and srgan_tf needs Keras on TensorFlow: set it to tensorflow")
    check(config.get("image_data_format"), config.get("floatx"), f" in {path}")


def check(image_data_format: str | None, floatx: str | None, where: str = "", policy: str | None = None) -> None:
    """Raise SettingsError if a Keras setting is not one that the package supports."""
    if image_data_format not in (None, "channels_last"):
        raise SettingsError(f"image_data_format{where} is {image_data_format!r}; srgan_tf needs channels_last")
    if floatx not in (None, "float32"):
        raise SettingsError(f"floatx{where} is {floatx!r}; srgan_tf needs float32 (mixed_bfloat16 is a dtype policy)")
    if policy in ("bfloat16", "float16"):
        raise SettingsError(f"the dtype policy {policy!r} keeps weights in it; use mixed_{policy}")
    if policy == "float64":
        raise SettingsError("the dtype policy 'float64' is not supported; use float32")


def _is_keras_3() -> bool:
    try:
        return int(importlib.metadata.version("keras").split(".")[0]) >= 3
    except importlib.metadata.PackageNotFoundError:
        return False
