"""Upscale pictures by the million on Apache Beam: a DoFn with the model, a dead-letter output, counters.

python beam_upscale.py --input=photos --output=large --failed=failed                            on this machine
python beam_upscale.py --input=gs://in/2024 --output=gs://out --failed=gs://out/failed --runner=DataflowRunner …

Flags that are not listed are the runner's: README.md has those for Dataflow and Flink. Results are named as
`srgan-tf upscale` names them; existing results are kept.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import PurePosixPath
from uuid import uuid4

import apache_beam as beam
from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions

from srgan_tf.errors import ImageError, ModelError
from srgan_tf.io import files
from srgan_tf.planning.plan import Source, named

FAILED = "failed"


class Upscale(beam.DoFn):
    """(source, target) → the target, once it is there; failures as JSON to the output "failed".

    Args:
        weights: a shipped name, or a path that every worker has.
        scale, quality, threads: as of `srgan-tf bulk`.
    """

    def __init__(self, weights: str, scale: int | None, quality: int, threads: int):
        self._weights, self._scale, self._quality, self._threads = weights, scale, quality, threads

    def setup(self):
        from srgan_tf import machine

        machine.limit_threads(self._threads)
        machine.keep_memory()
        import srgan_tf

        self._upscaler = srgan_tf.Upscaler(self._weights, scale=self._scale)

    def process(self, job):
        import srgan_tf

        source, target = job
        try:
            if FileSystems.exists(target):
                Metrics.counter("srgan_tf", "there").inc()
                return
            ending = PurePosixPath(target).suffix[1:]
            large, _ = srgan_tf.upscale_bytes(read(source), self._upscaler, source, ending, self._quality)
            write(target, large)
        except (ImageError, ModelError, MemoryError, OSError) as error:  # BeamIOError is an OSError
            Metrics.counter("srgan_tf", "failed").inc()
            letter = {"source": source, "target": target, "reason": " ".join(str(error).split())}
            yield beam.pvalue.TaggedOutput(FAILED, json.dumps(letter))
            return
        Metrics.counter("srgan_tf", "made").inc()
        Metrics.distribution("srgan_tf", "bytes").update(len(large))
        yield target


def read(path: str) -> bytes:
    with FileSystems.open(path, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
        return file.read()


def write(path: str, data: bytes) -> None:
    """Whole or not at all: object stores show a file once it is closed; elsewhere it is renamed."""
    folder, name = FileSystems.split(path)
    aside = path
    if FileSystems.get_scheme(path) in (None, "hdfs"):
        aside = FileSystems.join(folder, f".partial-{uuid4().hex}-{name}")
        if not FileSystems.exists(folder):
            make_folder(folder)
    with FileSystems.create(aside, "application/octet-stream", CompressionTypes.UNCOMPRESSED) as file:
        file.write(data)
    if aside != path:
        FileSystems.rename([aside], [path])


def make_folder(folder: str) -> None:
    try:
        FileSystems.mkdirs(folder)
    except OSError:  # another worker was faster
        if not FileSystems.exists(folder):
            raise


def jobs(sources: list[str], output: str, suffix: str, format: str | None) -> list[tuple[str, str]]:
    """(source, target) of all pictures below the sources, by one listing each, here where the pipeline is made.

    Raises:
        ImageError: a source holds none.
    """
    from srgan_tf.inference.pictures import result_suffix

    found = []
    for source in sources:
        base = source.rstrip("/")
        (match,) = FileSystems.match([f"{base}/**"])
        paths = [told.path for told in match.metadata_list if files.is_picture(PurePosixPath(told.path))]
        paths = [path for path in paths if "/." not in path[len(base) :] and not path.startswith(f"{output}/")]
        if not paths:
            raise ImageError(f"--input={source}: no pictures found")
        for path in paths:
            key = PurePosixPath(path.replace("://", "/"))
            folder = PurePosixPath(base.replace("://", "/"))
            found.append(Source(path, PurePosixPath("/") / folder, key.relative_to(folder)))
    names = named(found, suffix, partial(result_suffix, format=format))
    return [(one.url, f"{output}/{name}") for one, name in names.items()]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", action="append", required=True, help="a folder or prefix; may be given repeatedly")
    parser.add_argument("--output", required=True, help="a folder or prefix")
    parser.add_argument("--failed", required=True, help="prefix of the files that take a line of JSON a failure")
    parser.add_argument("--weights", default="srgan", help="a shipped name, or a path that every worker has")
    parser.add_argument("--scale", type=int, help="less than the weights' own 4")
    parser.add_argument("--format", choices=("png", "jpg", "webp", "tif", "avif"), help="default: the input's")
    parser.add_argument("--quality", type=int, default=95, help="of JPEG, WebP and AVIF, 1-100")
    parser.add_argument("--threads", type=int, default=1, help="cores of each worker process")
    told, rest = parser.parse_known_args(words)
    try:
        planned = jobs(told.input, told.output.rstrip("/"), f"_x{told.scale or 4}", told.format)
    except (ImageError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    pipeline = beam.Pipeline(options=PipelineOptions(rest, save_main_session=True))
    done = (
        pipeline
        | "names" >> beam.Create(planned)
        | "spread" >> beam.Reshuffle()
        | "upscale"
        >> beam.ParDo(Upscale(told.weights, told.scale, told.quality, told.threads)).with_outputs(FAILED, main="made")
    )
    done[FAILED] | "dead letters" >> beam.io.WriteToText(told.failed, ".jsonl", shard_name_template="-SS")
    result = pipeline.run()
    result.wait_until_finish()
    counters = {one.key.metric.name: one.committed for one in result.metrics().query()["counters"]}
    count = {name: counters.get(name, 0) for name in ("made", "there", "failed")}
    print(f"{count['made']} made; {count['there']} skipped, made before; {count['failed']} failed", file=sys.stderr)
    return 1 if count["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
