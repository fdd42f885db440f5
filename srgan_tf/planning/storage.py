"""Read, write and list files by path or URL. URLs, of disks and object stores, go through fsspec; paths need none."""

import errno
import math
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from uuid import uuid4

from srgan_tf.errors import ImageError
from srgan_tf.io import files

# A put is atomic there, and a rename would be a copy. Elsewhere files are written aside and renamed.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "hf"}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


class FullError(OSError):
    """Raised when the output has no space left."""


def is_url(place: str) -> bool:
    """Return whether a place is a URL, not a local path."""
    return "://" in place


def absolute(place: str) -> str:
    """Return the one spelling of a place that means the same in every working folder.

    Raises:
        ImageError: as for `opened`.
    """
    place = place.removeprefix("file://")
    if not is_url(place):
        return os.path.abspath(place)
    system, path = opened(place)
    return system.unstrip_protocol(path).rstrip("/")


def opened(url: str):
    """Return the fsspec file system of a URL, and the path in it.

    Raises:
        ImageError: the protocol is unknown, or its package is missing.
    """
    protocol = url.split("://")[0]
    try:
        import fsspec
    except ImportError:
        raise ImageError(f"{url}: URLs need fsspec and the store's package: pip install fsspec s3fs, say") from None
    try:
        options = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(url)  # a server's name, say
        system = fsspec.filesystem(protocol, **options)  # the same object each time
    except Exception as error:  # packages that are missing or not set up raise many types
        raise ImageError(f"{url}: cannot open this file system ({files.reason(error)})") from None
    return system, system._strip_protocol(url)


@contextmanager
def _converted_errors(place: str, failure: str):
    """Convert any file system's exceptions to ImageError or FullError, with the place in front."""
    try:
        yield
    except (ImageError, FullError):
        raise
    except FileNotFoundError:
        raise ImageError(f"{place}: no such file") from None
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise FullError(f"{place}: {error.strerror}; free space, then run the same command again") from None
        raise ImageError(f"{place}: {failure} ({files.reason(error)})") from None


def find(url: str) -> tuple[str, list[tuple[str, str]]]:
    """Find pictures below a prefix, by a pattern or by name; hidden ones only if the pattern names them.

    Returns:
        The folder's URL, and pairs of URL and path below the folder, in order.

    Raises:
        ImageError: there is none, or the file system cannot be listed.
    """
    system, path = opened(url)
    parts = path.split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    folder, pattern = path.rstrip("/"), ""
    with _converted_errors(url, "cannot be listed"):
        system.invalidate_cache()
        if fixed < len(parts) and not system.exists(path):
            folder, pattern = "/".join(parts[:fixed]), "/".join(parts[fixed:])
            keys = [key for key, details in system.glob(path, detail=True).items() if details["type"] == "file"]
        elif system.isfile(path):
            folder, pattern, keys = path.rpartition("/")[0], "/.", [path]
        elif system.isdir(path):
            keys = [key for key in system.find(path) if files.is_picture(PurePosixPath(key))]
        else:
            raise ImageError(f"{url}: no such file or folder")
    pairs = [(system.unstrip_protocol(key), key[len(folder) :].lstrip("/")) for key in sorted(keys)]
    if not (pattern.startswith(".") or "/." in pattern):
        pairs = [(url, below) for url, below in pairs if not any(part.startswith(".") for part in below.split("/"))]
    return system.unstrip_protocol(folder), pairs


def existing(output: str) -> Callable[[str], bool]:
    """Return a function that tells whether a place below the output exists; a prefix is listed once.

    Raises:
        ImageError: the prefix cannot be listed.
    """
    if not is_url(output):
        return os.path.lexists
    system, path = opened(output)
    with _converted_errors(output, "cannot be listed"):
        system.invalidate_cache()
        keys = set(system.find(path)) if system.exists(path) else set()
    return lambda url: system._strip_protocol(url) in keys


def modified(place: str) -> float:
    """Return when a place was last written, in seconds of Unix time; infinity if it does not tell.

    Raises:
        ImageError: there is no such place, or it cannot be reached.
    """
    with _converted_errors(place, "cannot be listed"):
        if not is_url(place):
            return os.lstat(place).st_mtime
        system, path = opened(place)
        try:
            return system.modified(path).timestamp()
        except NotImplementedError:
            return math.inf


@dataclass(frozen=True)
class Named:
    """Bytes that read like a file of this name; what `images.load` takes."""

    name: str
    data: bytes

    def __str__(self) -> str:
        return self.name

    def read_bytes(self) -> bytes:
        return self.data


def read(place: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        ImageError: it is missing or cannot be read.
    """
    with _converted_errors(place, "cannot read it"):
        if not is_url(place):
            return Path(place).read_bytes()
        system, path = opened(place)
        return system.cat_file(path)


def exists(place: str) -> bool:
    """Return whether a file exists now."""
    if not is_url(place):
        return os.path.exists(place)
    system, path = opened(place)
    with _converted_errors(place, "cannot check whether it exists"):
        system.invalidate_cache()
        return system.exists(path)


def write(place: str, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        FullError: there is no space left. ImageError: it cannot be written.
    """
    with _converted_errors(place, "cannot write it"):
        if not is_url(place):
            Path(place).parent.mkdir(parents=True, exist_ok=True)
            with files.write_aside(place) as aside:
                Path(aside).write_bytes(data)
            return
        system, path = opened(place)
        folder, _, name = path.rpartition("/")
        if place.split("://")[0] in OBJECT_STORES:
            return system.pipe_file(path, data)
        system.makedirs(folder, exist_ok=True)
        aside = f"{folder}/.partial-{uuid4().hex}-{name}"
        try:
            system.pipe_file(aside, data)
            try:
                system.mv(aside, path)
            except FileNotFoundError:  # fsspec's general `mv` takes brackets in a name for a pattern
                system.cp_file(aside, path)
        finally:
            if system.exists(aside):
                system.rm_file(aside)
