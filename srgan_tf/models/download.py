"""Download a file: resumed after a break, checked by SHA-256, written aside. Standard library only."""

import http.client
import os
import ssl
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from srgan_tf.errors import WeightsError
from srgan_tf.io import files
from srgan_tf.progress import Bar

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

_TIMEOUT = 30  # seconds without a byte
_TRIES = 3  # connections per call that may break
_CHUNK = 1 << 16
_BROKEN = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)


def fetch(name: str, url: str, path: Path, size: int, digest: str, licence: str) -> None:
    """Download a file of known size and SHA-256 to `path`, resuming what an earlier call left.

    Args:
        name, licence: shown with the progress bar.

    Raises:
        WeightsError: it cannot be downloaded or written, or is another file; nothing is at `path` then.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            if path.exists():  # downloaded by another process while this one waited
                return
            try:
                with open(part, "ab") as file:
                    if file.tell() != size:
                        _complete(name, url, file, size, path, licence)
            finally:
                if part.exists() and not part.stat().st_size:
                    part.unlink()
            if files.sha256(part) != digest:
                part.unlink()
                raise WeightsError(f"{name}: {url} is not the published file (SHA-256 differs); removed it")
            part.replace(path)
    except OSError as error:
        raise WeightsError(f"{path}: cannot write it ({error.strerror or error}); free the disk or folder") from None


@contextmanager
def _alone_in(folder: Path):
    """Let one process at a time download to a folder."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _complete(name: str, url: str, file: IO[bytes], size: int, path: Path, licence: str) -> None:
    """Receive what is missing, by several connections if they break.

    Raises:
        WeightsError: the server cannot be reached, refuses, or breaks off each time.
    """
    reason: object = ""
    with Bar(size, name, start=file.tell(), keep=False) as bar:
        bar.say(f"downloading {url}, {size / 1e6:.1f} MB, licence {licence}")
        for _ in range(_TRIES):
            try:
                return _receive(url, file, size, bar)
            except urllib.error.HTTPError as error:
                reason = f"HTTP {error.code} {error.reason}"
                break
            except _BROKEN as error:
                reason = getattr(error, "reason", error)
    got = f" after {file.tell() / 1e6:.1f} of {size / 1e6:.1f} MB; run it again to resume" if file.tell() else ""
    raise WeightsError(f"{name}: download failed ({reason}){got}; or fetch {url} by hand and put it at {path}")


def _receive(url: str, file: IO[bytes], size: int, bar: Bar) -> None:
    """Append what one connection yields."""
    start = file.tell()
    headers = {"User-Agent": "srgan_tf"} | ({"Range": f"bytes={start}-"} if start else {})
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=_TIMEOUT) as response:
        if start and response.status != 206:  # it sends the whole file
            file.truncate(0)
            file.seek(0)
            bar.move(-start)
        while left := size - file.tell():
            if not (chunk := response.read(min(left, _CHUNK))):
                raise ConnectionError("connection broken")
            file.write(chunk)
            bar.move(len(chunk), f"{file.tell() / 1e6:.1f} of {size / 1e6:.1f} MB")
