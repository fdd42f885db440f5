"""Plan a batch: find its pictures, name their results, and leave out what exists."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path, PurePath, PurePosixPath

from srgan_tf.errors import ImageError
from srgan_tf.io import files
from srgan_tf.planning import storage
from srgan_tf.planning.manifest import Manifest

_LONGEST_NAME = 255  # bytes, where the file system does not say


@dataclass(frozen=True)
class Job:
    """One picture to upscale.

    Attributes:
        source: path or URL; None for standard input.
        target: path or URL; None for standard output.
        compared: file for --compare, if asked for.
        attempts: how often it failed before.
    """

    source: str | None
    target: str | None
    compared: str | None = None
    attempts: int = 0

    def __str__(self):
        return self.source or "standard input"

    @property
    def is_clip(self) -> bool:
        return files.is_clip(self.source or "")


@dataclass(frozen=True)
class Source:
    """A picture's path or URL, the folder that an argument named (its own for a file), and its path below that."""

    url: str
    base: PurePath
    below: PurePath


@dataclass
class Plan:
    """The jobs of a batch, how many results exist already, and one error line per argument or name not used.

    Attributes:
        made: results that exist as these options make them.
        unknown: files in the place of results, that no manifest tells of.
    """

    jobs: list[Job] = field(default_factory=list)
    made: int = 0
    unknown: int = 0
    problems: list[str] = field(default_factory=list)


def plan(
    arguments: Iterable[str],
    output: str,
    suffix: str,
    suffix_of: Callable[[str], str],
    manifest: Manifest,
    overwrite: bool = False,
    compare: bool = False,
    clips: bool = False,
) -> Plan:
    """Plan what is to be made of the arguments.

    Args:
        arguments: files, folders, patterns, URLs of these; "-" for standard input.
        output: a folder; or, for a single picture, a file name.
        suffix: appended to stems.
        suffix_of: source → file suffix of its result, such as ".png".
        manifest: of earlier results, which are inputs only if named explicitly.
        overwrite: plan existing results too.
        compare: name files for --compare.
        clips: take videos, too.

    Raises:
        ImageError: the output cannot be listed.
    """
    made = Plan()
    kinds = files.EXTENSIONS + files.CLIPS * clips
    taken: dict[str, Job] = {}
    for job in _all_jobs(list(dict.fromkeys(arguments)), output, suffix, suffix_of, manifest, made.problems, kinds):
        job = job if compare and not job.is_clip else Job(job.source, job.target)
        results = [result for result in (job.target, job.compared) if result]
        if other := next((taken[result] for result in results if result in taken), None):
            made.problems.append(
                f"{job.source}: its result would have the name of {other.source}'s; rename one of them"
            )
        elif job.source and job.target and (job.source == job.target or files.is_same(job.source, job.target)):
            made.problems.append(f"{job.target}: would overwrite its input; choose another --output")
        elif job.compared and _is_too_long(job.compared):
            made.problems.append(f"{job.source}: its comparison's name is too long; rename it, or omit --compare")
        else:
            made.jobs.append(job)
            taken |= dict.fromkeys(results, job)
    return made if overwrite else without_existing(made, output, manifest)


def without_existing(planned: Plan, output: str, manifest: Manifest) -> Plan:
    """Leave out the jobs whose results exist, and count them.

    Raises:
        ImageError: the output cannot be listed.
    """
    exists, jobs = storage.existing(output), []
    for job in planned.jobs:
        if not (job.source and job.target and exists(job.target)):
            jobs.append(job)
        elif differs := manifest.differs(job.source, job.target):
            planned.problems.append(f"{job.target}: exists, but {differs}; --overwrite replaces it")
        elif differs is None:
            planned.unknown += 1
        elif job.compared and not os.path.exists(job.compared):
            jobs.append(job)
        else:
            planned.made += 1
    planned.jobs = jobs
    return planned


def is_file_name(output: str) -> bool:
    """Return whether an output is the name of a picture file, and not a folder."""
    is_named = files.is_picture(PurePath(output)) or files.is_clip(output)
    return is_named and not output.endswith("/") and not os.path.isdir(output)


def _all_jobs(arguments, output, suffix, suffix_of, manifest, problems: list[str], kinds) -> list[Job]:
    streams = [Job(None, None)] if "-" in arguments else []
    sources = _sources([a for a in arguments if a != "-"], output, manifest.results(), problems, kinds)
    if is_file_name(output):
        if len(sources) + len(streams) != 1:
            problems.append(f"--output={output}: a file name takes one picture, not {len(sources)}; give a folder")
            return []
        compared = str(Path(output).with_name(f"{Path(output).stem}_compare.png"))
        return [Job(sources[0].url if sources else None, output, compared)]
    names, jobs = named(sources, suffix, suffix_of), []
    stems = Counter(name.with_suffix("") for name in names.values())
    for source, name in sorted(names.items(), key=lambda item: item[0].url):
        alone = stems[name.with_suffix("")] == 1 or name.suffix == ".png"  # else a_x4.png has the plain name
        compared = name.with_name(f"{name.stem if alone else name.name}_compare.png")
        target = _join(output, name)
        if _is_too_long(target):
            problems.append(f"{source.url}: its result's name is too long; rename it, or give a shorter --suffix")
        else:
            jobs.append(Job(source.url, target, _join(output, compared)))
    return [*streams, *jobs]


def _sources(arguments: list[str], output: str, earlier: set[str], problems: list[str], kinds) -> list[Source]:
    """Return the pictures that the arguments name, each once, by its longest path below an argument."""
    sources: dict[str, Source] = {}
    below_output = _identity(storage.absolute(output)) + "/"
    for argument in arguments:
        unread: list[str] = []
        try:
            base, found = storage.find(argument) if storage.is_url(argument) else _local(argument, unread, kinds)
        except ImageError as error:
            problems.append(str(error))
            continue
        except OSError as error:
            problems.append(f"{argument[:100]}: cannot read it ({files.reason(error)})")
            continue
        problems += [f"{folder}: cannot read this folder" for folder in unread]
        outright = [below for _, below in found] == [PurePath(argument).name]
        # An output inside the folder that an argument names holds results, not sources.
        inside = below_output.startswith(_identity(base) + "/") and below_output != _identity(base) + "/"
        some = bool(unread)
        for url, below in found:
            identity = _identity(url)
            if not outright and (identity in earlier or (inside and identity.startswith(below_output))):
                continue
            some = True
            if storage.is_url(url) and ("//" in url.split("://")[1] or {".", ".."} & set(url.split("/"))):
                problems.append(f"{url}: its key has empty or dotted parts; rename it")
                continue
            known = sources.get(identity)
            if known is None or len(PurePath(below).parts) > len(known.below.parts):
                kind = PurePosixPath if storage.is_url(url) else PurePath
                sources[identity] = Source(url, kind("/", _identity(base).split("://")[-1]), kind(below))
        if not some:
            problems.append(f"{argument}: no pictures found ({', '.join(kinds)})")
    return list(sources.values())


def _local(argument: str, unread: list[str], kinds: tuple[str, ...]) -> tuple[str, list[tuple[str, str]]]:
    path = Path(argument)
    found = files.find(argument, unread, kinds)
    base = path if path.is_dir() else files.fixed_part(path)
    base = base.parent if found == [base] else base
    return str(base), [(str(one), str(one.relative_to(base))) for one in found]


def _identity(place: str) -> str:
    """Return one name for all paths to a file."""
    return place if storage.is_url(place) else os.path.realpath(place)


def _join(output: str, name: PurePath) -> str:
    return f"{output.rstrip('/')}/{name.as_posix()}" if storage.is_url(output) else str(Path(output) / name)


def _is_too_long(target: str) -> bool:
    return not storage.is_url(target) and len(os.fsencode(os.path.basename(target))) > _LONGEST_NAME


def named(sources: Iterable[Source], suffix: str, suffix_of: Callable[[str], str]) -> dict[Source, PurePath]:
    """Return each source's path below the output, by paths or keys alone, without the disk.

    Names do not depend on the sources' order, nor on what an earlier run made. Sources that would share one get as many
    of their folders' names as make them differ, all of them alike.

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
