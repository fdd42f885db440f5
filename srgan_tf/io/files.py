"""Find files, and write them aside and rename them; needs no picture library."""

import hashlib
import logging
import os
import re
import shutil
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from srgan_tf.errors import ImageError

EXTENSIONS = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".tga"),
    *(".avif", ".heic", ".heif", ".hif", ".jp2", ".j2k", ".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".qoi", ".pcx"),
    *(".sgi", ".ico"),
)
CLIPS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")


def is_picture(path: Path) -> bool:
    """Return whether its ending is that of a picture."""
    return path.suffix.lower() in EXTENSIONS


def is_clip(path) -> bool:
    """Return whether its ending is that of a video."""
    return Path(path).suffix.lower() in CLIPS


def is_same(one, other) -> bool:
    """Return whether two paths name one file that exists."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def find(source, unread: list[str] | None = None, kinds: tuple[str, ...] = EXTENSIONS) -> list[Path]:
    """Find the pictures of a folder (searched whole), a glob pattern, a file, or a list of these, in sorted order.

    Links to folders are followed. Hidden files and folders are left out unless named: left-overs of killed runs, and
    macOS' companions (._NAME.jpg).

    Args:
        unread: takes the folders that could not be searched.
        kinds: endings of the files to find in folders.

    Raises:
        ImageError: no such file or folder. OSError: a folder cannot be listed.
    """
    if isinstance(source, (list, tuple)):
        return [path for item in source for path in find(item, unread, kinds)]
    path = Path(source)
    if path.is_dir():
        return sorted(_search(path, unread, kinds))
    if path.exists():
        return [path]
    fixed = fixed_part(path)
    if fixed == path:
        raise ImageError(f"{source}: no such file or folder")
    pattern = path.relative_to(fixed)
    try:
        matches = list(fixed.glob(str(pattern)))
    except ValueError:
        raise ImageError(f"{source}: not a pattern; ** stands alone between slashes, as in folder/**/*.png") from None
    return sorted(p for p in matches if p.is_file() and not _is_hidden(p.relative_to(fixed), pattern))


def _search(folder: Path, unread: list[str] | None, kinds: tuple[str, ...]):
    def failed(error):
        if unread is None:
            logging.warning("%s: cannot read this folder", error.filename)
        else:
            unread.append(error.filename)

    top, seen = os.path.join(os.path.realpath(folder), ""), set()
    for root, folders, names in os.walk(folder, onerror=failed, followlinks=True):
        real = os.path.realpath(root)
        if real in seen or (os.path.islink(root) and os.path.join(real, "").startswith(top) and Path(root) != folder):
            folders.clear()  # a link to what is found by another path, or a circle
            continue
        seen.add(real)
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(root, name) for name in names if not name.startswith(".")):
            if path.suffix.lower() in kinds and path.is_file():
                yield path


def _is_hidden(path: Path, pattern: Path) -> bool:
    """Whether a part of it starts with a dot that the pattern does not name."""
    return any(part.startswith(".") for part in path.parts) and not any(part.startswith(".") for part in pattern.parts)


def fixed_part(pattern: Path) -> Path:
    """Return the leading folders of a glob pattern: those without a wildcard, or that exist by that very name."""
    fixed = Path(pattern.anchor)
    for part in pattern.parts[len(fixed.parts) :]:
        if any(c in part for c in "*?[") and not (fixed / part).exists():
            break
        fixed /= part
    return fixed


@contextmanager
def write_aside(path):
    """Give a temporary path beside `path`, and rename it there when the block ends well; remove it otherwise."""
    path = Path(path)
    handle, temporary = tempfile.mkstemp(suffix=path.suffix, prefix=".partial-", dir=path.parent)
    os.close(handle)
    try:
        yield temporary
        os.chmod(temporary, 0o666 & ~umask())
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def sweep(folders) -> None:
    """Remove what killed runs left aside in these folders, older than an hour: writing a file takes less."""
    for path in (path for folder in set(map(Path, folders)) for path in folder.glob(".partial-*")):
        with suppress(OSError):  # another run's, gone or not ours
            if path.stat().st_mtime < time.time() - 3600:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def sha256(path) -> str:
    """Return the SHA-256 of a file's content."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def umask() -> int:
    """Return this process' file mode mask."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def reason(error: Exception) -> str:
    """Return the most specific line of an error: libvips ends with the cause."""
    if strerror := getattr(error, "strerror", None):  # of OSError, and of FFmpeg's
        return strerror
    lines = [re.sub(" <.* object at 0x.*>", "", line.strip()) for line in str(error).splitlines()]
    lines = [
        line for line in lines if not re.fullmatch(r"|unable to call Vips\w+|\(\d+\.\d+\)", line)
    ]  # these say nothing
    return lines[-1] if lines else "its header or data are damaged"
