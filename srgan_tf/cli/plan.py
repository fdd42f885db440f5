"""What a batch is to make: sources found, names given to results, and what is there already.

Names do not depend on the arguments' order, nor on what an earlier run made, and two sources never share one.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from srgan_tf.errors import ImageError
from srgan_tf.io import files

LONGEST_NAME = 255  # bytes, where the file system does not say


@dataclass(frozen=True)
class Job:
    """One picture to make: from where (None: standard input), to where (None: standard output), `--compare`d where."""

    source: Path | None
    target: Path | None
    compared: Path | None = None

    def __str__(self):
        return str(self.source or "standard input")


@dataclass(frozen=True)
class Found:
    """A source, the folder that an argument named (its own for a file), and its path below that."""

    source: Path
    base: Path
    below: Path


def plan(
    arguments: Iterable[str], output: Path, suffix: str, ending_of: Callable[[Path], str], earlier: Iterable[Path] = ()
) -> tuple[list[Job], list[str]]:
    """The jobs that the arguments ask for, and what is wrong with the others, a line each.

    Args:
        arguments: files, folders, patterns; "-" for standard input.
        output: a folder; or, for a single picture, a file's name.
        suffix: added to the stems.
        ending_of: a source → the ending of its result, such as ".png".
        earlier: what earlier runs made, which is no source unless it is named outright.
    """
    arguments, problems = list(dict.fromkeys(arguments)), []
    found = _found([a for a in arguments if a != "-"], output, {path.resolve() for path in earlier}, problems)
    streams = [Job(None, None)] if "-" in arguments else []
    if files.is_picture(output) and not output.is_dir():
        if len(found) + len(streams) != 1:
            problems.append(f"--output={output}: a file's name takes one picture, not {len(found)}; give a folder")
            return [], problems
        compared = output.with_name(f"{output.stem}_compare.png")
        return [Job(found[0].source if found else None, output, compared)], problems
    jobs, names = [], _names(found, suffix, ending_of)
    stems = Counter(target.with_suffix("") for target in names.values())
    for one, target in sorted(names.items(), key=lambda item: str(item[0].source)):
        alone = stems[target.with_suffix("")] == 1 or target.suffix == ".png"  # else a_x4.png has the plain name
        target = output / target
        compared = target.with_name(f"{target.stem if alone else target.name}_compare.png")
        if len(os.fsencode(compared.name)) > LONGEST_NAME:
            problems.append(f"{one.source}: the name of its result is too long; rename it, or set a shorter --suffix")
            continue
        jobs.append(Job(one.source, target, compared))
    return [*streams, *jobs], problems


def _found(arguments: list[str], output: Path, earlier: set[Path], problems: list[str]) -> list[Found]:
    results: dict[Path, Found] = {}
    for argument in arguments:
        try:
            unread: list[str] = []
            sources = files.find(argument, unread)
            problems += [f"{folder}: cannot read this folder" for folder in unread]
            base = Path(argument) if Path(argument).is_dir() else files.fixed_part(Path(argument))
        except ImageError as error:
            problems.append(str(error))
            continue
        except OSError as error:
            problems.append(f"{argument[:100]}: cannot be used ({files.reason(error)})")
            continue
        # An output folder inside a source folder holds results.
        inside = output.resolve() if base.resolve() in output.resolve().parents else None
        sources = [path for path in sources if path == base or inside not in path.resolve().parents]
        sources = [path for path in sources if path == base or path.resolve() not in earlier]
        if not sources and not unread:
            problems.append(f"{argument}: no pictures there ({', '.join(files.EXTENSIONS)})")
        for path in sources:
            folder = base if path != base else path.parent
            one = Found(path, folder, path.relative_to(folder))
            known = results.get(path.resolve())
            if known is None or len(one.below.parts) > len(known.below.parts):
                results[path.resolve()] = one
    return list(results.values())


def _names(found: list[Found], suffix: str, ending_of) -> dict[Found, Path]:
    """A result's path below the output for each. Those that would share one get as many of their folders' names as tell
    them apart, all of them alike, so that none depends on which came first."""
    whole, above = _clashing_by_ending(found, ending_of), dict.fromkeys(found, 0)
    while True:
        names, groups = {}, defaultdict(list)
        for one in found:
            stem = one.below.name if one in whole else one.below.stem
            folders = one.base.resolve().parts[1:][-above[one] :] if above[one] else ()
            names[one] = Path(*folders) / one.below.parent / f"{stem}{suffix}{ending_of(one.source)}"
            groups[str(names[one]).lower()].append(one)  # some file systems do not tell cases apart
        # Folders tell apart what lies in several; A.png and a.png of one stay as they are.
        several = [group for group in groups.values() if len({one.base.resolve() for one in group}) > 1]
        clashing = [one for group in several for one in group if above[one] < len(one.base.resolve().parts) - 1]
        if not clashing:
            return names
        for one in clashing:
            above[one] += 1


def _clashing_by_ending(found: list[Found], ending_of) -> set[Found]:
    """Of a.png and a.jpg in one folder, written in one format: those that must keep their ending in the name.

    What is in that format already keeps its name, so that it does not depend on what else is there.
    """
    groups = defaultdict(list)
    for one in found:
        groups[one.source.resolve().parent, one.source.stem, ending_of(one.source)].append(one)
    return {
        one
        for (*_, ending), group in groups.items()
        for one in group
        if len(group) > 1 and one.source.suffix.lower() != ending
    }
