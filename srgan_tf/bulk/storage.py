"""Pictures on any file system that fsspec knows, object stores among them: found, read, and written whole or not."""

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

# A single put appears whole there, and a rename would be a copy. Elsewhere a file is written aside and renamed.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "r2", "hf"}
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
_STALE = 3600  # seconds: no picture takes so long to be written


class FullError(OSError):
    """The output takes no more; the message names it and the mend."""


def opened(url: str):
    """The file system of a path or URL, and the path in it.

    Raises:
        ImageError: no such kind, or its package is missing; names both.
    """
    system = _system(url if split_protocol(url)[0] else "")
    return system, system._strip_protocol(url)


def _system(url: str):
    protocol = split_protocol(url)[0] or "file"
    try:
        options = fsspec.get_filesystem_class(protocol)._get_kwargs_from_urls(url)  # a server's name, say
        return fsspec.filesystem(protocol, **options)  # the same object each time
    except Exception as error:  # whatever a package leads to that is missing or not set up
        raise ImageError(f"{url}: cannot be used ({files.reason(error)})") from None


def url_of(system, path: str) -> str:
    """What `opened` takes: a plain path where the file system is the machine's own."""
    return path if isinstance(system, LocalFileSystem) else system.unstrip_protocol(path)


def listed(url: str) -> dict[str, dict]:
    """All files below a folder or prefix, by one listing: path → what the listing tells. None where it is missing.

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
    """The pictures of folders, patterns and files, each with its URL, and what is wrong with the others, a line each.

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
            problems.append(f"--output={output}: is also a source, and results would be sources; give another folder")
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
                problems.append(f"{url}: a key with empty or dotted parts; rename it")
                continue
            one = Found(PurePosixPath(key), PurePosixPath("/") / base, below)
            known = results.get((system, key))
            if known is None or len(below.parts) > len(known[0].below.parts):
                results[system, key] = one, url
        if not some:
            problems.append(f"{source}: no pictures there ({', '.join(files.EXTENSIONS)})")
    return dict(results.values()), problems


def _keys(source: str, system, path: str) -> tuple[str, str, Sequence[str]]:
    """Of an argument: its folder, the pattern below that, and the keys that it stands for, in order."""
    parts = path.split("/")
    fixed = next((i for i, part in enumerate(parts) if any(c in part for c in "*?[")), len(parts))
    try:
        system.invalidate_cache()
        if fixed < len(parts) and not system.exists(path):
            found = system.glob(path, detail=True)
            keys = sorted(key for key, told in found.items() if told["type"] == "file")
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
    """The bytes of a file.

    Raises:
        ImageError: there is none, or it cannot be read; names it.
    """
    system, path = opened(url)
    try:
        return system.cat_file(path)
    except FileNotFoundError:
        raise ImageError(f"{url}: no such file") from None
    except Exception as error:
        raise ImageError(f"{url}: cannot read it ({files.reason(error)})") from None


def exists(url: str) -> bool:
    """Whether there is such a file now."""
    system, path = opened(url)
    try:
        system.invalidate_cache()
        return system.exists(path)
    except Exception as error:
        raise ImageError(f"{url}: cannot be asked for ({files.reason(error)})") from None


def write(url: str, data: bytes) -> None:
    """Write a file, which appears whole or not at all.

    Raises:
        FullError: there is no room for it, nor for any other. ImageError: it cannot be written; names it.
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
            raise FullError(f"{url}: {error.strerror}; make room, then run the same command again") from None
        raise ImageError(f"{url}: cannot write it ({files.reason(error)})") from None
    except Exception as error:
        raise ImageError(f"{url}: cannot write it ({files.reason(error)})") from None


def sweep(output: str, there: dict[str, dict]) -> None:
    """Remove what killed runs have left half written, an hour ago or more, from a local folder that was listed."""
    system, _ = opened(output)
    if isinstance(system, LocalFileSystem):
        for path, told in there.items():
            if Path(path).name.startswith(".partial-") and told["mtime"] < time.time() - _STALE:
                Path(path).unlink(missing_ok=True)
