"""Manifest of results, so that reruns can resume: JSON lines in OUTPUT/.srgan_tf.jsonl, of which the last counts."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from srgan_tf.errors import ImageError
from srgan_tf.planning import storage

NAME = ".srgan_tf.jsonl"
_BULK = ".srgan_tf_bulk.json"  # where `bulk` kept the options up to version 0.9


def json_lines(data: bytes) -> Iterator[dict]:
    """Yield the objects of a JSON lines file, without damaged lines, as where a run was killed."""
    for line in data.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def append_line(file, entry: dict) -> None:
    """Append a JSON line to a file opened by "a+b", on a line of its own where a kill cut the last one off."""
    if file.seek(0, os.SEEK_END):
        file.seek(-1, os.SEEK_END)
        if file.read() != b"\n":
            file.write(b"\n")
    file.write(f"{json.dumps(entry)}\n".encode())


class Manifest:
    """The manifest of a folder: a line per result of `upscale`; of `bulk`, and behind a URL, one line for all.

    Args:
        folder: of the results, a path or URL.
        options: what results depend on besides their sources.
        made_by: engine and arithmetic that were used; kept for people, not compared.

    Attributes:
        trouble: why it cannot be read or written, for one line; "" if it can.
    """

    def __init__(self, folder: str, options: dict, made_by: str = ""):
        self.folder, self.options, self._made_by = str(folder), options, made_by
        self._how = {"options": options, "made_by": made_by}
        self._made: dict[str, tuple[int, dict]] = {}  # its line's number, and the line
        self._all: list[tuple[int, float, dict]] = []  # numbers, times and options of the lines for all
        self._others: set[str] = set()
        self.trouble = ""
        for before in json_lines(self._read(_BULK)):
            same = {"engine": options.get("engine")} if before.get("engine") == "auto" else {}
            self._all.append((-1, 0.0, before | same))
        for number, entry in enumerate(json_lines(self._read(NAME))):
            if not isinstance(entry.get("options"), dict):
                continue
            self._others |= {str(entry.get("made_by", made_by))} - {made_by}
            if isinstance(entry.get("result"), str):
                self._made[entry["result"]] = number, entry
            else:
                began = entry.get("time", 0)
                self._all.append((number, began if isinstance(began, float) else 0.0, entry["options"]))

    def mixed(self) -> str:
        """Return a note if earlier results were computed in another arithmetic, as on another device; "" if not."""
        others = ", ".join(sorted(self._others))
        return others and f"{self.folder}: earlier results were computed in {others}, new ones in {self._made_by}"

    def results(self) -> set[str]:
        """Return the real paths of local results of earlier runs, --compare's included."""
        made = [Path(self.folder, name) for name in self._made]
        compared = [one.with_name(f"{name}_compare.png") for one in made for name in (one.stem, one.name)]
        return {os.path.realpath(one) for one in (*made, *compared)}

    def differs(self, source: str, target: str) -> str | None:
        """Return why an existing result is stale: "" if it is not, None if unknown.

        Its options are those of the last line for all that is newer than its own line and older than itself; without
        such a line, those of its own.
        """
        number, entry = self._made.get(self._name(target), (-2, {}))
        later = [(began, options) for line, began, options in self._all if line > number and (began or not entry)]
        time_decides = not storage.is_url(target) or any(options != later[0][1] for _, options in later)
        if later and time_decides:  # else not asked for: stores answer slowly
            modified = storage.modified(target)
            later = [one for one in later if one[0] <= modified]
        if later:
            return self._changed(later[-1][1])
        if not entry:
            return None
        now = _source(source)
        if entry.get("source") != now["source"]:
            return f"it was made of {entry.get('source')}"
        if any(entry.get(name) != now[name] for name in now):
            return "its source has changed"
        return self._changed(entry["options"])

    def changed(self) -> str:
        """Describe which options differ from those of all results of an earlier `bulk`; "" if none."""
        return self._changed(self._all[-1][2]) if self._all else ""

    def _changed(self, before: dict) -> str:
        differing = {name: before.get(name) for name, now in self.options.items() if before.get(name) != now}
        return ", ".join(f"--{name} was {'not given' if old is None else old}" for name, old in differing.items())

    def add(self, source: str, target: str) -> None:
        """Add a result. If the manifest cannot be written, the next run keeps the result as unknown."""
        if storage.is_url(target):
            return
        entry = {"result": self._name(target), **_source(source), **self._how}
        self._made[entry["result"]] = sys.maxsize, entry  # after all lines that were read
        try:
            self._append(entry)
        except OSError as error:
            self.trouble = f"{self.folder}/{NAME}: cannot write it ({error.strerror}); reruns do not know these results"

    def add_all(self) -> None:
        """Record these options for the results written from now on that get no line of their own.

        Raises:
            ImageError: the manifest cannot be written.
        """
        place, line = f"{self.folder}/{NAME}", self._how | {"time": time.time()}
        if storage.is_url(place):
            storage.write(place, self._read(NAME) + f"\n{json.dumps(line)}\n".encode())
            return
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
            self._append(line)
        except OSError as error:
            raise ImageError(f"{place}: cannot write it ({error.strerror}); choose another --output") from None

    def _append(self, entry: dict) -> None:
        with open(Path(self.folder, NAME), "a+b") as file:
            append_line(file, entry)

    def _read(self, name: str) -> bytes:
        place = f"{self.folder}/{name}"
        try:
            return storage.read(place) if storage.exists(place) else b""
        except ImageError as error:
            self.trouble = str(error)
            return b""

    def _name(self, target: str) -> str:
        url = storage.is_url(target)
        return target.removeprefix(f"{self.folder}/") if url else os.path.relpath(target, self.folder)


def _source(source: str) -> dict:
    if storage.is_url(source):
        return {"source": source}
    try:
        stat = os.stat(source)
    except OSError:  # it has gone since
        return {"source": os.path.realpath(source)}
    return {"source": os.path.realpath(source), "bytes": stat.st_size, "time": stat.st_mtime}
