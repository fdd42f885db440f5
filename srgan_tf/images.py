"""Picture files to uint8 RGB arrays and back."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif")


class ImageError(ValueError):
    """A file that cannot be used as a picture; the message names it."""


def read(path) -> np.ndarray:
    """Read a picture upright as uint8 RGB [height, width, 3] in 0-255.

    Greyscale (8 and 16 bit), palette, CMYK and alpha are converted; alpha is dropped, not blended.

    Raises:
        ImageError: the file is missing, unreadable, truncated or no picture.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return _to_rgb(ImageOps.exif_transpose(image))
    except FileNotFoundError:
        raise ImageError(f"{path}: no such file") from None
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ImageError(f"{path}: not a readable picture ({error})") from None


def _to_rgb(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grey at 255 when it converts to 8 bits; the range is wanted instead.
        grey = np.clip(np.asarray(image).astype(np.float64) / 257, 0, 255)
        return np.repeat(np.floor(grey + 0.5).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))


def find(source) -> list[Path]:
    """The pictures of a folder (searched whole), a glob pattern, a file, or a list of these, in sorted order."""
    if isinstance(source, (list, tuple)):
        return [path for item in source for path in find(item)]
    path = Path(source)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    if path.exists():
        return [path]
    # A pattern: searched from its first part without a wildcard.
    parts = path.parts
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), None)
    if fixed is None:
        raise ImageError(f"{source}: no such file or folder")
    return sorted(p for p in Path(*parts[:fixed]).glob(str(Path(*parts[fixed:]))) if p.is_file())


@contextmanager
def write_aside(path):
    """Give a temporary path beside `path`, and rename it there when the block ends well; remove it otherwise."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(suffix=path.suffix, prefix=".partial-", dir=path.parent)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write(path, image: np.ndarray) -> None:
    """Write uint8 RGB [height, width, 3] as the format of the path's ending, whole or not at all."""
    try:
        with write_aside(path) as temporary:
            Image.fromarray(image).save(temporary, quality=95)
    except (OSError, KeyError, ValueError) as error:
        raise ImageError(f"{path}: cannot write it ({error})") from None
