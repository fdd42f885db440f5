"""What the README says in Python does what it says."""

import re
from pathlib import Path

import numpy as np
import pytest

from srgan_tf.data.bundled import PHOTOS
from srgan_tf.io import images

ROOT = Path(__file__).parents[1]
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
# As typed, but for how long it trains.
SHORTER = {"steps_per_epoch=1000, epochs=10": "steps_per_epoch=1, epochs=1"}


@pytest.mark.parametrize("code", BLOCKS)
def test_python_of_the_readme(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    images.write(tmp_path / "photo.jpg", images.read(PHOTOS / "heldout" / "coffee.jpg")[:40, :50])
    (tmp_path / "DIV2K_train_HR").symlink_to(PHOTOS / "train")
    for long, short in SHORTER.items():
        code = code.replace(long, short)
    assert "1000" not in code, "add how it is made shorter"
    names: dict = {}
    exec(code, names)
    if "sr" in names:
        assert names["sr"].dtype == np.uint8 and names["sr"].shape == (160, 200, 3)
