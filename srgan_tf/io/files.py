"""Files of any kind: found, named, and written aside and renamed. Needs no picture library."""

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path

from srgan_tf.errors import ImageError

EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".tif", ".tiff", ".gif"),
    *(".avif", ".heic", ".ppm", ".pgm", ".tga", ".jp2"),
)


def find(source) -> list[Path]:
    """The pictures of a folder (searched whole), a glob pattern, a file, or a list of these, in sorted order."""
    if isinstance(source, (list, tuple)):
        return [path for item in source for path in find(item)]
    path = Path(source)
    if path.is_dir():
        return sorted(p for p in path.rglob("*") if p.suffix.lower() in EXTENSIONS and p.is_file())
    if path.exists():
        return [path]
    fixed = fixed_part(path)
    if fixed == path:
        raise ImageError(f"{source}: no such file or folder")
    return sorted(p for p in fixed.glob(str(path.relative_to(fixed))) if p.is_file())


def fixed_part(pattern: Path) -> Path:
    """The leading folders of a glob pattern, up to its first part with a wildcard."""
    parts = pattern.parts
    return Path(*parts[: next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))])


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


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def reason(error: Exception) -> str:
    """The most telling line of an error: libvips ends with the cause."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
