"""Bulk upscaling, measured: `python benchmarks/bulk.py PART`, where PART is one of those below.

throughput [WEIGHTS [PICTURES [ROUNDS]]]   two workers beside upscale.py on one folder, in turns; memory of a worker
large [WEIGHTS]                            one worker on a picture of 12 megapixels: seconds of a core, and memory
actors COUNT SECONDS PICTURES              workers that only sleep: what the driver can feed, and in what memory
names COUNT                                naming so many keys
batched                                    LiteRT on several small pictures at once beside one after the other
"""

import contextlib
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path, PurePosixPath
from statistics import median

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTOS = ROOT / "srgan_tf/photos"


def sources(folder: Path, count: int, side: int = 128) -> None:
    """Crops of the bundled photographs, as JPEG."""
    photos = [Image.open(path).convert("RGB") for path in sorted(PHOTOS.rglob("*.jpg"))]
    for number in range(count):
        photo, rng = photos[number % len(photos)], np.random.default_rng(number)
        x, y = (int(rng.integers(0, max(1, size - side + 1))) for size in photo.size)
        photo.crop((x, y, x + side, y + side)).save(folder / f"{number}.jpg", quality=92)


def looked_at(process: int, workers: bool) -> dict[int, tuple[int, float]]:
    """MiB at most, and seconds of a core, that Ray's workers here, or a process itself, have taken so far."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*") if workers else [Path(f"/proc/{process}")]:
        with contextlib.suppress(OSError, StopIteration, ValueError):
            if not workers or (folder / "cmdline").read_text().startswith("ray::MapWorker"):
                line = next(line for line in (folder / "status").read_text().splitlines() if "VmHWM" in line)
                user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
                cpu = (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
                found[int(folder.name)] = int(line.split()[1]) // 1024, cpu
    return found


def made(program: str, folder: Path, output: Path, *flags: str) -> tuple[float, list[int], float]:
    """Seconds that a program tells of its work, start-up left out; MiB of each process; seconds of a core, with it."""
    words = [sys.executable, "-m", "srgan_tf", program, str(folder), f"--output={output}", *flags]
    words += [f"--failed={output}.jsonl", "--threads=1"] * (program == "bulk")
    run, seen = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=ROOT), {}
    while run.poll() is None:
        seen |= looked_at(run.pid, program == "bulk")
        time.sleep(0.2)
    said = run.stderr.read()
    told = re.search(r"made in (?:(\d+) min )?([\d.]+) s", said)
    assert told and run.returncode == 0, said
    sizes, cpu = zip(*seen.values())
    return 60 * int(told[1] or 0) + float(told[2]), sorted(sizes), sum(cpu)


def throughput(weights: str = "srgan", count: str = "96", rounds: str = "3") -> None:
    with tempfile.TemporaryDirectory() as scratch:
        root, times = Path(scratch), {"upscale": [], "bulk": []}
        (root / "in").mkdir()
        sources(root / "in", int(count))
        for turn in range(int(rounds)):
            for program, all_times in times.items():
                seconds, sizes, cpu = made(program, root / "in", root / f"{program}{turn}", f"--weights={weights}")
                all_times.append(seconds)
                rate = f"{int(count) / seconds:6.2f} pictures/s, {cpu / int(count):.3f} s of a core a picture"
                print(f"{program:8} {rate}, {sizes} MiB", flush=True)
            same = [path.read_bytes() == (root / f"bulk{turn}" / path.name).read_bytes()
                    for path in (root / f"upscale{turn}").glob("*.jpg")]  # fmt: skip
            assert len(same) == int(count) and all(same)
        ratio = median(times["upscale"]) / median(times["bulk"])
        print(f"{weights}: bulk has {ratio:.3f} of upscale.py's pictures/s; medians of {rounds}, results equal")


def large(weights: str = "srgan") -> None:
    from srgan_tf import machine

    machine.limit_threads(1)
    machine.keep_memory()
    import srgan_tf

    upscaler = srgan_tf.Upscaler(weights)
    picture = Image.open(next(PHOTOS.rglob("*.jpg"))).convert("RGB").resize((4000, 3000), Image.Resampling.BICUBIC)
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        picture.save(file.name, quality=92)
        data = Path(file.name).read_bytes()
    wall, cpu = time.perf_counter(), time.process_time()
    result, _ = srgan_tf.upscale_bytes(data, upscaler, "large.jpg")
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{weights}: 12 megapixels, {len(data) / 1e6:.1f} MB → {len(result) / 1e6:.1f} MB: {cpu:.0f} s of a core "
        f"({wall:.0f} s), {most} MiB at most"
    )


class Sleeper:
    """A worker that takes as long as one, and computes nothing; `model` is its seconds for a picture."""

    def __init__(self, settings):
        self._seconds = float(settings.model)

    def __call__(self, batch):
        from srgan_tf.bulk import work

        return work.gathered(self._results(batch["number"]))

    def _results(self, numbers):
        for number in numbers:
            began = time.time()
            time.sleep(self._seconds)
            times = {"began": began, "ended": time.time()}
            yield {"number": int(number), "state": "made", "reason": "", "pixels": 1, **times}


def resident() -> int:
    """MiB that this process has in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20


def actors(count: str, seconds: str, pictures: str) -> None:
    from srgan_tf.bulk import pipeline, work
    from srgan_tf.planning.plan import Job

    pool, jobs = (
        pipeline.Pool(int(count)),
        [Job(f"/in/{i}.jpg", f"/out/{i}.jpg") for i in range(int(pictures))],
    )
    ended, sizes, started = [], [], time.time()
    with pipeline.cluster(num_cpus=pool.workers + 1):
        cpu = time.process_time()
        for told in pipeline.run(jobs, work.Settings(seconds), pool, Sleeper):
            ended.append(told.ended)
            sizes.append(resident())
        cpu = time.process_time() - cpu
    ended, ideal = sorted(ended), pool.workers / float(seconds)
    early, late = len(ended) // 4, 3 * len(ended) // 4  # workers start one after the other, and end so
    rate = (late - early) / (ended[late] - ended[early])
    print(
        f"{count} workers of {seconds} s: {rate:.1f} pictures/s, {rate / ideal:.3f} of {ideal:.1f}; "
        f"driver {1000 * cpu / len(jobs):.1f} ms of a core a picture; first after {ended[0] - started:.0f} s; "
        f"{sizes[early]} MiB of memory after a quarter, {sizes[-1]} at the end"
    )


def names(count: str) -> None:
    from srgan_tf.inference.pictures import result_suffix
    from srgan_tf.planning.plan import Source, named

    keys = [PurePosixPath(f"bucket/in/{i // 1000:06}/{i}.jpg") for i in range(int(count))]
    base, folder = PurePosixPath("/bucket/in"), PurePosixPath("bucket/in")
    started = time.perf_counter()
    found = [Source(str(key), base, key.relative_to(folder)) for key in keys]
    made = named(found, "_x4", result_suffix)
    seconds = time.perf_counter() - started
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(made)} keys named in {seconds:.1f} s, {most} MiB at most")


def batched() -> None:
    from srgan_tf import machine

    machine.limit_threads(1)
    from srgan_tf.inference.loading import load_runner

    for weights in ("compact", "srgan"):
        trunk = load_runner(weights, "auto", "litert")._parts[0]
        for side in (32, 64, 128):
            times = {1: [], 8: []}
            for _ in range(5):
                for together, all_times in times.items():
                    x = np.full((together, side, side, 3), 0.5, np.float32)
                    trunk(x)
                    started = time.process_time()
                    for _ in range(8 // together):
                        trunk(x)
                    all_times.append(time.process_time() - started)
            one, eight = (1000 * median(all_times) / 8 for all_times in times.values())
            print(
                f"{weights} {side}x{side}: {one:.1f} ms of a core each, eight at once {eight:.1f} ms each", flush=True
            )


if __name__ == "__main__":
    parts = {part.__name__: part for part in (throughput, large, actors, names, batched)}
    if len(sys.argv) < 2 or sys.argv[1] not in parts:
        sys.exit(__doc__)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parts[sys.argv[1]](*sys.argv[2:])
