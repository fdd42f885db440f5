"""Export a generator to all artifacts of a folder, each checked before it is published, with a report."""

import contextlib
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from srgan_tf.choices import LITE_KINDS
from srgan_tf.errors import ExportError
from srgan_tf.evaluation.tables import markdown, versions
from srgan_tf.export import parity, saved_model, tflite, web
from srgan_tf.export.parity import Reference, timed
from srgan_tf.inference.litert import NEAR
from srgan_tf.io import files
from srgan_tf.models import weights

TILES = (64, 96, 128, 192, 256)  # LR px per side, for the table of tiles


def export(
    source,
    output,
    kinds,
    sizes=(128,),
    max_pixels: int = saved_model.MAX_PIXELS,
    command: str = "",
    gpu_sizes=(128,),
    licence: str = "",
    origin: str = "",
) -> list:
    """Export a generator; print a table of the artifacts, and write it to `output`/report.md.

    Args:
        source: what `weights.load` takes, or a generator.
        output: a folder; SavedModels go to saved_model/<version>/, models for browsers to web/.
        kinds: of `choices.EXPORT_KINDS`.
        sizes: of int8 models, LR pixels per side; one file each.
        max_pixels: limit of LR pixels per request of the SavedModel.
        command: for the report.
        gpu_sizes: of models for graphics processors, as `sizes`.
        licence, origin: of the weights, for the files' metadata; by default what the source states.

    Returns:
        One `parity.Row` per artifact.

    Raises:
        WeightsError: there are no such weights. ExportError: an artifact cannot be written, or misses its threshold; it
        is not published then.
    """
    generator = source if isinstance(source, tf.keras.Model) else weights.load(source)
    generator.licence, generator.origin = licence or generator.licence, origin or generator.origin
    name, output = weights.name_of(source) if isinstance(source, (str, Path)) else "generator", Path(output)
    card = weights.PRETRAINED / f"{name}.md"
    # Its card tells the terms and scores of shipped weights alone.
    about = card.read_text(encoding="utf-8") if weights.is_shipped(source) and not (licence or origin) else ""
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ExportError(f"{output}: cannot make this folder ({files.reason(error)})") from None
    reference, rows, paths = Reference(generator), [], []

    def check(kind: str, label: str, side: int = parity.SIDE):
        """Return what checks a file, and takes down its row."""
        return lambda file: rows.append(reference.check(file, kind, label, side))

    if "saved_model" in kinds:
        checked = check("saved_model", "saved_model")
        paths.append(saved_model.write(generator, output / "saved_model", name, max_pixels, checked, about))
        rows[0] = replace(rows[0], file=f"saved_model/{paths[0].name}")
    of_one_size = {"int8": sizes, "gpu": gpu_sizes}
    for kind in (kind for kind in (*LITE_KINDS, "gpu") if kind in kinds):
        for size in of_one_size.get(kind, (None,)):
            path = output / (f"{kind}_{size}.tflite" if size else f"{kind}.tflite")
            model = tflite.convert(generator, "float16" if kind == "gpu" else kind, size, name)
            with _writing(path), files.write_aside(path) as temporary:
                Path(temporary).write_bytes(model)
                check(kind, path.name, size or parity.SIDE)(temporary)
            paths.append(path)
    if "web" in kinds:
        paths.append(web.write(generator, output / "web", name, check("float16", f"web/{name}.tflite", web.SIDE)))
    if "npz" in kinds:
        path = output / f"{name}.npz"
        with _writing(path):
            weights.save_weights(generator, path)
        check("npz", path.name)(path)
        paths.append(path)
    side = min(sizes[0], int(max_pixels**0.5))
    rows = timed(rows, paths, side)
    text = markdown(parity.HEADINGS, *(row.cells() for row in rows))
    text += f"\n\nTimes: best of 5 in turns, {side} x {side} LR pixels."
    print(text)
    _write_report(output / "report.md", text, generator, paths, command)
    return rows


@contextlib.contextmanager
def _writing(path: Path):
    """Convert errors of the disk."""
    try:
        yield
    except OSError as error:
        raise ExportError(f"{path}: cannot write it ({files.reason(error)})") from None


def _write_report(path: Path, text: str, generator, paths: list, command: str) -> None:
    parts = ["# Exported models", text]
    if any(path.name == "float32.tflite" for path in paths):
        parts += ["## Tiles", tiles(generator, path.parent / "float32.tflite")]
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    by = f" by `{command}`" if command else ""
    parts.append(f"Made{by} with {made_by}.")
    with files.write_aside(path) as temporary:
        Path(temporary).write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def tiles(generator, path) -> str:
    """Return a table of tile size against time per useful pixel, those beyond the overlap."""
    contexts, lines = sorted({NEAR, max(NEAR, generator.context)}), []
    for side in TILES:
        (row,) = timed([parity.Row("", 0, "", 0, 0)], [path], side, rounds=2)
        inner = [max(side - 2 * context, 0) for context in contexts]
        each = [f"{1e6 * row.seconds / n**2:.1f}" if n else "–" for n in inner]
        lines.append([str(side), f"{row.seconds:.3f}", *each])
    return markdown(["LR px a side", "s/tile", *(f"µs/useful px, {c} of context" for c in contexts)], *lines)
