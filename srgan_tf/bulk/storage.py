"""Find, read and atomically write pictures on any file system of fsspec, object stores included."""

import errno
import time
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from uuid import uuid4

import fsspec
from fsspec.core import split_protocol
from fsspec.implementations.local import LocalFileSystem

from srgan_tf.errors import ImageError
from srgan_tf.io import files
from srgan_tf.io.names import Found

# There a put is atomic, and a rename would be a copy. Elsewhere files are written aside and renamed.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "hf"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_STALE = 3600  # seconds; writing a picture takes less


class FullError(OSError):
    """Raised when the output has no space left."""


def opened(url: str):
    """Return the file system of a path or URL, and the path in it.

    Raises:
        ImageError: the protocol is unknown, or its package is missing.
    """
    system = _system(url if split_protocol(url)[0] else "")
    return system, system._strip_protocol(url)


def _system(url: str):
    protocol = split_protocol(url)[0] or "file"
    try:
        options = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(url)  # a server's name, say
        return fsspec.filesystem(protocol, **options)  # the same object each time
    except Exception as error:  # packages that are missing or not set up raise many types
        raise ImageError(f"{url}: cannot open this file system ({files.reason(error)})") from None


def url_of(system, path: str) -> str:
    """Return what `opened` takes: a plain path on the local file system, else a URL."""
    return path if isinstance(system, LocalFileSystem) else system.unstrip_protocol(path)


def listed(url: str) -> dict[str, dict]:
    """List all files below a folder or prefix: path → details; empty if it does not exist.

    Raises:
        ImageError: it cannot be listed.
    """
    system, path = opened(url)
    try:
        system.invalidate_cache()
        return system.find(path, detail=True)
    except FileNotFoundError:
        return {}
    except Exception as error:
        raise ImageError(f"{url}: cannot be listed ({files.reason(error)})") from None


def find(sources: Iterable[str], output: str) -> tuple[dict[Found, str], list[str]]:
    """Return the pictures of folders, patterns and files with their URLs, and one error line per unusable source.

    Hidden files and those below the output are left out.
    """
    results: dict[tuple, tuple[Found, str]] = {}
    problems = []
    out_system, out = opened(output)
    for source in dict.fromkeys(sources):
        try:
            system, path = opened(source)
            base, pattern, keys = _keys(source, system, path)
        except ImageError as error:
            problems.append(str(error))
            continue
        if system == out_system and keys and path.rstrip("/") == out.rstrip("/"):
            problems.append(f"--output={output}: is also an input; give another folder")
            continue
        some = False
        for key in keys:
            below = PurePosixPath(key[len(base) :].lstrip("/"))
            asked = pattern.startswith(".") or "/." in pattern
            if not asked and any(part.startswith(".") for part in below.parts) and key != path:
                continue
            if system == out_system and key.startswith(f"{out.rstrip('/')}/") and key != path:
                continue
            some, url = True, url_of(system, key)
            if "//" in key or {".", ".."} & set(key.split("/")):
                problems.append(f"{url}: its key has empty or dotted parts; rename it")
                continue
            one = Found(PurePosixPath(key), PurePosixPath("/") / base, below)
            known = results.get((system, key))
            if known is None or len(below.parts) > len(known[0].below.parts):
                results[system, key] = one, url
        if not some:
            problems.append(f"{source}: no pictures found ({', '.join(files.EXTENSIONS)})")
    return dict(results.values()), problems


def _keys(source: str, system, path: str) -> tuple[str, str, Sequence[str]]:
    """Return an argument's folder, the pattern below it, and the matching keys in order."""
    parts = path.split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    try:
        system.invalidate_cache()
        if fixed < len(parts) and not system.exists(path):
            found = system.glob(path, detail=True)
            keys = sorted(key for key, details in found.items() if details["type"] == "file")
            return "/".join(parts[:fixed]), "/".join(parts[fixed:]), keys
        if system.isfile(path):
            return path.rpartition("/")[0], "", [path]
        if not system.isdir(path):
            raise ImageError(f"{source}: no such file or folder")
        keys = sorted(key for key in system.find(path) if files.is_picture(PurePosixPath(key)))
        return path.rstrip("/"), "", keys
    except ImageError:
        raise
    except Exception as error:
        raise ImageError(f"{source}: cannot be listed ({files.reason(error)})") from None


def read(url: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        ImageError: it is missing or cannot be read.
    """
    system, path = opened(url)
    try:
        return system.cat_file(path)
    except FileNotFoundError:
        raise ImageError(f"{url}: no such file") from None
    except Exception as error:
        raise ImageError(f"{url}: cannot read it ({files.reason(error)})") from None


def exists(url: str) -> bool:
    """Return whether a file exists now."""
    system, path = opened(url)
    try:
        system.invalidate_cache()
        return system.exists(path)
    except Exception as error:
        raise ImageError(f"{url}: cannot check whether it exists ({files.reason(error)})") from None


def write(url: str, data: bytes) -> None:
    """Write a file atomically.

    Raises:
        FullError: there is no space left. ImageError: it cannot be written.
    """
    system, path = opened(url)
    folder, _, name = path.rpartition("/")
    try:
        if isinstance(system, LocalFileSystem):
            Path(folder).mkdir(parents=True, exist_ok=True)
            with files.write_aside(path) as aside:
                Path(aside).write_bytes(data)
        elif split_protocol(url)[0] in OBJECT_STORES:
            system.pipe_file(path, data)
        else:
            system.makedirs(folder, exist_ok=True)
            aside = f"{folder}/.partial-{uuid4().hex}-{name}"
            try:
                system.pipe_file(aside, data)
                system.mv(aside, path)
            finally:
                if system.exists(aside):
                    system.rm_file(aside)
    except OSError as error:
        if error.errno in FULL:
            raise FullError(f"{url}: {error.strerror}; free space, then run the same command again") from None
        raise ImageError(f"{url}: cannot write it ({files.reason(error)})") from None
    except Exception as error:
        raise ImageError(f"{url}: cannot write it ({files.reason(error)})") from None


def sweep(output: str, there: dict[str, dict]) -> None:
    """Remove partial files of killed runs, older than an hour, from a listed local folder."""
    system, _ = opened(output)
    if isinstance(system, LocalFileSystem):
        for path, details in there.items():
            if Path(path).name.startswith(".partial-") and details["mtime"] < time.time() - _STALE:
                Path(path).unlink(missing_ok=True)
