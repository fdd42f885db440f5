"""Manifest of results, so that reruns can resume.

One line of JSON per result in OUTPUT/.srgan_tf.jsonl; the last line of a result counts.
"""

import json
import os
from pathlib import Path

NAME = ".srgan_tf.jsonl"


def changed(before: dict, now: dict) -> str:
    """Describe which options differ; "" if none."""
    differing = {name: before.get(name) for name in now if before.get(name) != now[name]}
    return ", ".join(f"--{name} was {'not given' if old is None else old}" for name, old in differing.items())


class Record:
    """The manifest of a folder.

    Args:
        folder: of the results.
        options: what results depend on besides their sources.
    """

    def __init__(self, folder: Path, options: dict):
        self.folder, self.options, self._made = Path(folder), options, {}
        try:
            lines = (self.folder / NAME).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            lines = []
        for line in lines:
            try:
                entry = json.loads(line)
                self._made[entry["result"]] = entry
            except (ValueError, KeyError, TypeError):  # cut off where a run was killed
                continue

    def results(self) -> list[Path]:
        """Return all results of earlier runs here, --compare's included."""
        made = [self.folder / name for name in self._made]
        compared = [one.with_name(f"{name}_compare.png") for one in made for name in (one.stem, one.name)]
        return [*made, *compared]

    def differs(self, source: Path, target: Path) -> str | None:
        """Return why an existing result is stale: "" if it is not, None if unknown."""
        entry = self._made.get(self._name(target))
        if entry is None:
            return None
        now = self._entry(source, target)
        if entry.get("source") != now["source"]:
            return f"it was made of {entry.get('source')}"
        if (entry.get("bytes"), entry.get("time")) != (now["bytes"], now["time"]):
            return "its source has changed"
        return changed(entry.get("options", {}), self.options)

    def add(self, source: Path, target: Path) -> None:
        """Add a result. If the manifest cannot be written, the next run keeps the result as unknown."""
        entry = self._made[self._name(target)] = self._entry(source, target)
        try:
            with open(self.folder / NAME, "a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError:
            return

    def _name(self, target: Path) -> str:
        return os.path.relpath(target, self.folder)

    def _entry(self, source: Path, target: Path) -> dict:
        stat = source.stat()
        entry = {"result": self._name(target), "source": str(source.resolve()), "bytes": stat.st_size}
        return {**entry, "time": stat.st_mtime, "options": self.options}
