"""Name results by paths or keys alone, without the disk, so that an object store's listing serves as well.

Names do not depend on the sources' order, nor on what an earlier run made, and two sources never share one.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True)
class Source:
    """A picture's path or URL, the folder that an argument named (its own for a file), and its path below that."""

    url: str
    base: PurePath
    below: PurePath


def named(sources: Iterable[Source], suffix: str, suffix_of: Callable[[str], str]) -> dict[Source, PurePath]:
    """Return each source's path below the output.

    Those that would share one get as many of their folders' names as make them differ, all of them alike, so that none
    depends on which came first.

    Args:
        suffix: added to the stems.
        suffix_of: a source → the ending of its result, such as ".png".
    """
    sources = list(sources)
    whole, above = _clashing_by_ending(sources, suffix_of), dict.fromkeys(sources, 0)
    names, asked = {}, sources
    while asked:
        for one in asked:
            stem = one.below.name if one in whole else one.below.stem
            folders = one.base.parts[1:][-above[one] :] if above[one] else ()
            names[one] = type(one.below)(*folders) / one.below.parent / f"{stem}{suffix}{suffix_of(one.url)}"
        groups = defaultdict(list)
        for one, name in names.items():
            groups[str(name).lower()].append(one)  # some file systems ignore case
        # Folders separate sources of several; A.png and a.png of one folder stay as they are.
        several = [group for group in groups.values() if len({one.base for one in group}) > 1]
        asked = [one for group in several for one in group if above[one] < len(one.base.parts) - 1]
        for one in asked:
            above[one] += 1
    return names


def _clashing_by_ending(sources: list[Source], suffix_of) -> set[Source]:
    """Return those of a.png and a.jpg in one folder, written in one format, whose name must keep their ending.

    A source in that format already keeps its name, so that it does not depend on what else is there.
    """
    groups = defaultdict(list)
    for one in sources:
        groups[one.base / one.below.parent, one.below.stem, suffix_of(one.url)].append(one)
    return {
        one
        for (*_, ending), group in groups.items()
        for one in group
        if len(group) > 1 and PurePath(one.url).suffix.lower() != ending
    }
