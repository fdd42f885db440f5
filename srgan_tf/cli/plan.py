"""Plan a batch: find inputs, name outputs. io/names.py has the rules of names."""

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
    """One picture to upscale.

    Attributes:
        source: None for standard input.
        target: None for standard output.
        compared: file for --compare.
    """

    source: Path | None
    target: Path | None
    compared: Path | None = None

    def __str__(self):
        return str(self.source or "standard input")


def plan(
    arguments: Iterable[str], output: Path, suffix: str, suffix_of: Callable[[Path], str], earlier: Iterable[Path] = ()
) -> tuple[list[Job], list[str]]:
    """Return the jobs for the arguments, and one error line per argument that cannot be used.

    Args:
        arguments: files, folders, patterns; "-" for standard input.
        output: a folder; or, for a single picture, a file name.
        suffix: appended to stems.
        suffix_of: source → file suffix of its result, such as ".png".
        earlier: results of earlier runs, which are inputs only if named explicitly.
    """
    arguments, problems = list(dict.fromkeys(arguments)), []
    found = _found([a for a in arguments if a != "-"], output, {path.resolve() for path in earlier}, problems)
    streams = [Job(None, None)] if "-" in arguments else []
    if files.is_picture(output) and not output.is_dir():
        if len(found) + len(streams) != 1:
            problems.append(f"--output={output}: a file name takes one picture, not {len(found)}; give a folder")
            return [], problems
        compared = output.with_name(f"{output.stem}_compare.png")
        return [Job(found[0].source if found else None, output, compared)], problems
    jobs, names = [], named(found, suffix, suffix_of)
    stems = Counter(target.with_suffix("") for target in names.values())
    for one, target in sorted(names.items(), key=lambda item: str(item[0].source)):
        alone = stems[target.with_suffix("")] == 1 or target.suffix == ".png"  # else a_x4.png has the plain name
        target = output / target
        compared = target.with_name(f"{target.stem if alone else target.name}_compare.png")
        if len(os.fsencode(compared.name)) > LONGEST_NAME:
            problems.append(f"{one.source}: its result's name is too long; rename it, or give a shorter --suffix")
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
            problems.append(f"{argument[:100]}: cannot read it ({files.reason(error)})")
            continue
        # Skip an output folder inside an input folder.
        inside = output.resolve() if base.resolve() in output.resolve().parents else None
        sources = [path for path in sources if path == base or inside not in path.resolve().parents]
        sources = [path for path in sources if path == base or path.resolve() not in earlier]
        if not sources and not unread:
            problems.append(f"{argument}: no pictures found ({', '.join(files.EXTENSIONS)})")
        for path in sources:
            folder = base if path != base else path.parent
            one = Found(path, folder.resolve(), path.relative_to(folder))
            known = results.get(path.resolve())
            if known is None or len(one.below.parts) > len(known.below.parts):
                results[path.resolve()] = one
    return list(results.values())
