"""Score models on benchmarks: one table like the paper's table 2.

All scores, LPIPS included, are of rounded uint8 pictures without a border of `scale` pixels. Greyscale pictures pass
RGB models as three equal channels. PSNR and SSIM compare the mean of the channels with HR's grey, not with Y; LPIPS
sees any colours that the model adds.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan_tf.data.benchmarks import Pair, find_benchmark
from srgan_tf.data.bicubic import enlarge
from srgan_tf.errors import BenchmarkError, WeightsError
from srgan_tf.evaluation import lpips, metrics, sheets, tables
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.inference.loading import load_runner
from srgan_tf.inference.runners import Ensemble, Function, Runner
from srgan_tf.models import weights
from srgan_tf.progress import Bar

CURVE = (0.2, 0.4, 0.6, 0.8)  # blends of a plot's curve, between its two ends


@dataclass(frozen=True)
class Result:
    """One picture by all models: HR [1, height, width, 3 or 1]; SR [1, height, width, 3] and scores by model."""

    picture: str
    hr: np.ndarray
    sr: dict[str, np.ndarray]
    scores: dict[str, dict[str, float]]


def evaluate(
    sources=(),
    benchmarks=("Set5",),
    output=None,
    data_dir=None,
    scale: int = 4,
    networks=("alex", "vgg"),
    rgb: bool = False,
    blends=(),
    ensembled: bool = False,
    sheet: bool = False,
    plot: bool = False,
    command: str = "",
) -> list[dict]:
    """Score nearest, bicubic and models on benchmarks; print a table and, with `output`, write all results there.

    Args:
        sources: what `loading.load_runner` takes.
        benchmarks, data_dir: names or folders, for `data.benchmarks.find_benchmark`.
        output: folder for results.csv, .json and .md, the sheets (sheets/BENCHMARK/PICTURE.png) and the plots.
        scale: of the benchmarks without sources; else the models'.
        networks: LPIPS networks, of "alex" and "vgg".
        rgb: also score PSNR and SSIM over RGB.
        blends: shares in [0, 1] of the second source in blends with the first, one more model each.
        ensembled: run each model as its eightfold self-ensemble.
        sheet: draw one comparison sheet per picture.
        plot: draw PSNR against LPIPS, with the curve of blends if the first two sources blend.
        command: for the results.

    Returns:
        One row per model and benchmark, with the columns of results.csv.

    Raises:
        WeightsError, BenchmarkError, ImageError: an input is unusable; nothing but sheets is written then.
    """
    models = open_models(sources, blends, curve=plot)
    scale = models[0].scale if models else scale
    if odd := [model.name for model in models if model.scale != scale]:
        raise WeightsError(f"{odd[0]}: not an x{scale} model like {models[0].name}; evaluate it separately")
    pictures = {Path(name).resolve().name: find_benchmark(name, scale, data_dir) for name in benchmarks}
    if len(pictures) < len(benchmarks):
        raise BenchmarkError(
            f"two of the benchmarks {', '.join(benchmarks)} have the same name; evaluate them separately"
        )
    if output:
        Path(output).mkdir(parents=True, exist_ok=True)
    models = list(map(Ensemble, models)) if ensembled else models
    curve = [model.name for model in (models[0], *models[2:], models[1])] if len(models) > len(sources) else []
    models = [*interpolations(scale), *models]
    rows, details = [], {}
    for benchmark, files in pictures.items():
        results = {}
        for result in _with_progress(judge(models, files, networks, rgb), benchmark, len(files)):
            results[result.picture] = result.scores
            if sheet:
                sheets.write_sheet(Path(output) / "sheets" / benchmark / f"{result.picture}.png", result)
        rows += [_row(model, benchmark, results) for model in models]
        details[benchmark] = results
    print(tables.table(rows))
    if output:
        tables.write(Path(output), rows, details, command)
        if plot:
            for benchmark in pictures:
                of_benchmark = [row for row in rows if row["benchmark"] == benchmark]
                sheets.write_plot(Path(output) / f"plot-{benchmark}.png", benchmark, of_benchmark, curve)
    return rows


def open_models(sources, blends=(), curve: bool = False) -> list[Runner]:
    """Open the sources and the blends of the first two, under distinct names."""
    opened = [load_runner(source) for source in sources]
    shared = Counter(["nearest", "bicubic", *(model.name for model in opened)])
    models, taken = [], {"nearest", "bicubic"}
    for source, model in zip(sources, opened):
        own = str(source) if shared[model.name] > 1 and isinstance(source, (str, Path)) else model.name
        name, number = own, 1
        while name in taken:
            number += 1
            name = f"{own} ({number})"
        taken.add(name)
        models.append(model.renamed(name))
    ends = [model.generator for model in models[:2]]
    two_generators = len(models) == 2 and None not in ends
    if blends and not two_generators:
        raise WeightsError("--blend needs two --weights that are generators, not exported models")
    if curve and not blends and two_generators and weights.blendable(*ends):
        blends = CURVE
    for amount in sorted(set(blends)):
        name = f"{models[0].name}~{models[1].name}@{amount:g}"
        models.append(GeneratorRunner(weights.blend(*ends, amount), name))
    return models


def interpolations(scale: int) -> list[Runner]:
    """Return the baselines: nearest neighbour, and MATLAB's bicubic."""
    return [
        Function("nearest", scale, lambda lr: lr.repeat(scale, 1).repeat(scale, 2)),
        Function("bicubic", scale, lambda lr: enlarge(lr, scale).numpy()),
    ]


def judge(models: list[Runner], pictures: list[Pair], networks=("alex",), rgb: bool = False) -> Iterator[Result]:
    """Yield each picture's results by all models, with scores."""
    for model in models:
        model(np.zeros((1, 16, 16, 3), np.uint8))  # trace before timing
    for picture in pictures:
        hr, lr = picture.read()
        smallest = max(11, 0, *(lpips.SMALLEST[network] for network in networks)) + 2 * picture.scale
        if min(hr.shape[1:3]) < smallest:
            raise BenchmarkError(f"{picture.hr_path}: scores need at least {smallest}x{smallest} px")
        inner = slice(picture.scale, -picture.scale)
        reference = {network: lpips.features(hr[:, inner, inner], network) for network in networks}
        srs, scores = {}, {}
        for model in models:
            start = time.perf_counter()
            sr = srs[model.name] = model(np.broadcast_to(lr, (*lr.shape[:3], 3)))
            seconds = time.perf_counter() - start
            features_of_sr = {network: lpips.features(sr[:, inner, inner], network) for network in networks}
            sr = to_grey(sr) if hr.shape[-1] == 1 else sr
            score = {name: function(hr, sr, picture.scale) for name, function in metrics.SCORES.items()}
            for network in networks:
                score[f"lpips_{network}"] = lpips.compare(reference[network], features_of_sr[network], network)
            for name, function in metrics.SCORES_RGB.items() if rgb else ():
                score[name] = function(hr, sr, picture.scale)
            scores[model.name] = {name: float(value[0]) for name, value in score.items()}
            scores[model.name]["seconds_a_picture"] = seconds
        yield Result(picture.name, hr, srs, scores)


def to_grey(sr: np.ndarray) -> np.ndarray:
    """uint8 [n, h, w, 3] → [n, h, w, 1]: the mean of the channels, rounded half up."""
    return ((2 * sr.sum(-1, keepdims=True, dtype=np.uint16) + 3) // 6).astype(np.uint8)


def _row(model: Runner, benchmark: str, results: dict) -> dict:
    scores = [scores[model.name] for scores in results.values()]
    row = {"model": model.name, "benchmark": benchmark}
    row |= {
        name: float(np.mean([score[name] for score in scores])) for name in scores[0] if name != "seconds_a_picture"
    }
    row["parameters"] = row["multiply_adds"] = None
    if model.generator is not None:
        row["parameters"] = sum(int(np.prod(v.shape)) for v in model.generator.trainable_variables)
        row["multiply_adds"] = model.generator.multiply_adds() * model.num_passes
    row["seconds_a_picture"] = float(np.mean([score["seconds_a_picture"] for score in scores]))
    return {**row, "pictures": len(scores), "scale": model.scale}


def _with_progress(results: Iterator[Result], benchmark: str, count: int) -> Iterator[Result]:
    with Bar(count, benchmark, unit="picture") as bar:
        for result in results:
            bar.move(1, result.picture)
            yield result
