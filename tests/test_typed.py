"""What README and documentation say to type does what they say: page by page, from top to bottom, as a reader would.

The README's way to a first picture runs always; the rest takes minutes and is slow.
"""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from PIL import Image

from srgan_tf.data.bundled import PHOTOS
from srgan_tf.io import images

PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("tutorials/*.md")),
    *sorted((ROOT / "docs").glob("how-to/*.md")),
]
# As typed, but for how long it trains or how much it looks at.
SHORTER = {
    "--steps=400": "--steps=1 --batch=1 --crop=64",
    "--recipe=srgan-photos --init=srresnet --data=PHOTOS  ": "--recipe=srgan-photos --init=srresnet --data=PHOTOS "
    "--steps=1 --batch=1 --crop=64  ",
    "steps_per_epoch=1000, epochs=10": "steps_per_epoch=1, epochs=1",
    "python export.py --output=exported": "python export.py --weights=compact --output=exported",
    "runs/real --only=": "compact --only=",
    '--only="clean;JPEG 75;noise 10"': '--only="JPEG 75"',
    "=rrdb --blocks=23 --channels=64": "=rrdb --blocks=1 --channels=8 --steps=1 --batch=1 --crop=64",
    "=srvgg --blocks=32 --channels=64": "=srvgg --blocks=3 --channels=8 --steps=1 --batch=1 --crop=64",
}
# What is not run here, by its beginning, and where it is, or why not.
ELSEWHERE = {
    "python3 -m venv": ".ci/run and tests/test_install.py paste the README's first two blocks",
    "pip install": "the same",
    "pytest -q": "this very run",
    "python train.py --recipe=srresnet --data=IMAGES": "12 days of a core",
    "python train.py --recipe=srgan --data=IMAGES": "11 days of a core",
    "python train.py --recipe=demo": "tests/training/test_loop.py stops, kills and resumes runs",
    "srgan-tf client": "tests/inference/test_serving.py, against a server",
    "tensorboard": "does not end",
    "cd web": ".ci/web",
    "npm": ".ci/web",
    "srgan-tf upscale photo.jpg --weights=realesrgan-": "tests/models/test_published.py, against a server",
    "srgan-tf bulk": "tests/bulk, where Ray is installed",
}


def steps(page: Path) -> list[tuple[str, str]]:
    """Kind and text of each command and each block of Python, in their order."""
    found = []
    for kind, block in re.findall(
        r"^```(sh|python)\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    ):
        for long, short in SHORTER.items():
            block = block.replace(long, short)
        lines = block.replace("\\\n", " ").splitlines() if kind == "sh" else [block]
        found += [(kind, line) for line in lines if line.strip() and not line.startswith("#")]
    return found


def elsewhere(command: str) -> bool:
    return any(command.startswith(start) for start in ELSEWHERE)


def here(command: str) -> list[str]:
    words = shlex.split(command.split(" # ")[0])
    words[:1] = [sys.executable, "-m", "srgan_tf"] if words[0] == "srgan-tf" else [sys.executable, *_module(words[0])]
    return words


def _module(program: str) -> list[str]:
    return [] if program == "python" else ["-m", program]


@pytest.fixture
def folder(tmp_path):
    """Where a reader might be: in a checkout, with a photograph and folders of them."""
    picture = images.read(PHOTOS / "heldout" / "coffee.jpg")[:40, :50]
    bundled = "srgan_tf/photos/heldout/coffee.jpg"
    for name in ("photo.jpg", "holiday/one.jpg", "scans/two.tif", "PICTURES/three.png", bundled):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        images.write(tmp_path / name, picture)
    first = Image.fromarray(picture)
    first.save(tmp_path / "party.gif", save_all=True, append_images=[first.rotate(180)], duration=80)
    if importlib.util.find_spec("av"):
        import av

        with av.open(str(tmp_path / "clip.mp4"), "w") as clip:
            stream = clip.add_stream("libx264", rate=24, width=50, height=40)
            clip.mux([*stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")), *stream.encode(None)])
    images.write(tmp_path / "PICTURES" / "three.png", images.read(PHOTOS / "heldout" / "coffee.jpg")[:64, :64])
    for name in ("PHOTOS", "DIV2K_train_HR"):
        (tmp_path / name).symlink_to(PHOTOS / "train")
    others = ROOT / "tests" / "models" / "foreign" / "data"
    for name in ("4x.pth", "realesr-general-x4v3.pth", "realesr-general-wdn-x4v3.pth"):
        shutil.copy(others / "compact-x4.pth", tmp_path / name)
    shutil.copy(others / "real-esrgan-x4.pth", tmp_path / "4x-esrgan.pth")
    if "SRGAN_TF_DATA" in os.environ:
        (tmp_path / "BENCHMARKS").symlink_to(os.environ["SRGAN_TF_DATA"])
    for name in ("train.py", "evaluate.py", "export.py", "upscale.py", "deploy", "benchmarks", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def run(words: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / ".cache")}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_from_top_to_bottom(page, folder):
    if "--output=runs/mine" not in page.read_text(encoding="utf-8"):  # what an earlier page trains
        (folder / "runs" / "mine").mkdir(parents=True)
        shutil.copy(ROOT / "srgan_tf/pretrained/compact.npz", folder / "runs/mine/generator.npz")
    for kind, text in steps(page):
        if kind == "python":
            run([sys.executable, "-c", text], folder)
        elif "BENCHMARKS" in text and "SRGAN_TF_DATA" not in os.environ:
            pytest.skip("needs Set5 and Set14 in $SRGAN_TF_DATA")
        elif not elsewhere(text):
            run(here(text), folder)


def test_the_readme_is_short_and_leads_to_a_picture(folder):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.split()) <= 900
    first = next(text for _, text in steps(ROOT / "README.md") if text.startswith("srgan-tf upscale"))
    run(here(first), folder)
    assert images.read(folder / "upscaled" / "coffee_x4.jpg").shape == (160, 200, 3)


def test_what_is_not_run_is_still_typed_somewhere():
    typed = [text for page in PAGES for kind, text in steps(page) if kind == "sh"]
    for start in ELSEWHERE:
        assert any(text.startswith(start) for text in typed) or start == "srgan-tf bulk", f"{start}: nowhere any more"
