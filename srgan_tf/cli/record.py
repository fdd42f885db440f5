"""What lies in an output folder, and of what it was made: so that a batch goes on, and takes nothing for another's.

A line of JSON a result in OUTPUT/.srgan_tf.jsonl; the last one of a result counts.
"""

import json
import os
from pathlib import Path

NAME = ".srgan_tf.jsonl"


def changed(before: dict, now: dict) -> str:
    """Which options differ, for people; "" where none does."""
    differing = {name: before.get(name) for name in now if before.get(name) != now[name]}
    return ", ".join(f"--{name} was {'not given' if old is None else old}" for name, old in differing.items())


class Record:
    """The results in a folder.

    Args:
        folder: of the results.
        options: what the results depend on beside their sources.
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
        """All that earlier runs made here, and what --compare made beside it."""
        made = [self.folder / name for name in self._made]
        compared = [one.with_name(f"{name}_compare.png") for one in made for name in (one.stem, one.name)]
        return [*made, *compared]

    def differs(self, source: Path, target: Path) -> str | None:
        """What of a result that is there is not as it would be made now; "" where nothing is, None where unknown."""
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
        """Note a result that was made. Where that cannot be written, the next run will ask."""
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
        told = {"result": self._name(target), "source": str(source.resolve()), "bytes": stat.st_size}
        return {**told, "time": stat.st_mtime, "options": self.options}
