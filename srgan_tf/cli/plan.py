"""What a batch is to make: sources found, names given to results, and what is there already.

How results are named is in io/names.py.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from srgan_tf.errors import ImageError
from srgan_tf.io import files
from srgan_tf.io.names import LONGEST_NAME, Found, named


@dataclass(frozen=True)
class Job:
    """One picture to make: from where (None: standard input), to where (None: standard output), `--compare`d where."""

    source: Path | None
    target: Path | None
    compared: Path | None = None

    def __str__(self):
        return str(self.source or "standard input")


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
    jobs, names = [], named(found, suffix, ending_of)
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
            one = Found(path, folder.resolve(), path.relative_to(folder))
            known = results.get(path.resolve())
            if known is None or len(one.below.parts) > len(known.below.parts):
                results[path.resolve()] = one
    return list(results.values())
