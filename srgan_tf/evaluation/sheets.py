"""Comparison sheets, plots of distortion against perception, and training curves."""

import csv
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from srgan_tf.io.files import write_aside

PANEL = 320  # px: side of a zoomed crop on the sheet
GAP, TEXT = 12, 20
BOX = (230, 30, 30)


def write_sheet(path, result) -> None:
    """Draw HR, and the crop on which the models differ most, by each model and HR.

    Args:
        path: of the sheet.
        result: an `evaluation.Result`. Nearest neighbour is left out, as it adds nothing to bicubic.
    """
    contenders = {name: sr for name, sr in result.sr.items() if name != "nearest"} | {"HR": result.hr}
    y, x, side = disagreement(list(contenders.values()))
    whole = _whole(result.hr, (y, x, side))
    size = (GAP + whole.width + (GAP + PANEL) * len(contenders) + GAP, GAP + PANEL + 3 * TEXT + GAP)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    sheet.paste(whole, (GAP, GAP))
    _caption(draw, GAP, whole.width, [result.picture, "PSNR / SSIM (daala)", "LPIPS Alex"])
    left = GAP + whole.width + GAP
    for name, picture in contenders.items():
        crop = _image(picture[:, y : y + side, x : x + side])
        # Nearest neighbour: a smoother zoom would blur every method alike.
        sheet.paste(crop.resize((PANEL, PANEL), Image.Resampling.NEAREST), (left, GAP))
        _caption(draw, left, PANEL, [name, *_scores(result.scores.get(name))])
        left += PANEL + GAP
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with write_aside(path) as temporary:
        sheet.save(temporary)


def disagreement(pictures: list[np.ndarray]) -> tuple[int, int, int]:
    """Return top, left and side of the square on which pictures [1, h, w, c] differ most, by summed variance."""
    height, width = pictures[0].shape[1:3]
    side = min(height, width, 80 if min(height, width) >= PANEL else 64)  # zoomed by integer factors
    variance = np.var([picture[0].astype(np.float32).mean(-1) for picture in pictures], axis=0)
    sums = np.pad(variance.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    totals = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    y, x = np.unravel_index(totals.argmax(), totals.shape)
    return int(y), int(x), side


def _image(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(np.broadcast_to(picture[0], (*picture.shape[1:3], 3)).copy())


def _whole(hr: np.ndarray, crop: tuple[int, int, int]) -> Image.Image:
    """Return HR at the panels' height, with the crop framed."""
    scale = PANEL / hr.shape[1]
    image = _image(hr).resize((round(hr.shape[2] * scale), PANEL), Image.Resampling.LANCZOS)
    y, x, side = (n * scale for n in crop)
    ImageDraw.Draw(image).rectangle((x, y, x + side - 1, y + side - 1), outline=BOX, width=3)
    return image


def _scores(scores: dict | None) -> list[str]:
    if scores is None:
        return []
    lines = [f"{scores['psnr_y']:.2f} dB / {scores['ssim_daala']:.4f}"]
    return [*lines, f"{scores['lpips_alex']:.3f}"] if "lpips_alex" in scores else lines


def _caption(draw: ImageDraw.ImageDraw, left: int, width: int, lines: list[str]) -> None:
    font = ImageFont.load_default(size=TEXT * 0.8)
    for i, line in enumerate(lines):
        while draw.textlength(line, font) > width:
            line = line[:-2] + "…"
        middle = left + (width - draw.textlength(line, font)) / 2
        draw.text((middle, GAP + PANEL + 4 + i * TEXT), line, "black", font)


def write_plot(path, benchmark: str, rows: list[dict], curve: list[str]) -> None:
    """Plot PSNR against LPIPS-Alex (Blau and Michaeli 2018), one point per model, blends joined to a curve.

    Args:
        path: of the plot.
        benchmark: title.
        rows: of one benchmark, as `evaluation.evaluate` returns them.
        curve: names of the models to join, in order; may be empty.
    """
    pyplot = _pyplot()
    figure, axes = pyplot.subplots(figsize=(6, 4.2), layout="constrained")
    points = {row["model"]: (row["psnr_y"], row["lpips_alex"]) for row in rows}
    if curve:
        axes.plot(*zip(*(points[name] for name in curve)), "-", color="tab:gray", lw=1, zorder=1)
    middle = sum(sorted(psnr for psnr, _ in points.values())[:: len(points) - 1]) / 2
    for name, (psnr, lpips) in points.items():
        small, right = name in curve[1:-1], psnr > middle
        axes.scatter(psnr, lpips, s=14 if small else 40, color="tab:gray" if small else None, zorder=2)
        axes.annotate(
            name.split("@")[-1] if small else name,
            (psnr, lpips),
            (4, -11) if small else (4 if right else -4, 8),
            textcoords="offset points",
            fontsize=7 if small else 9,
            ha="right" if right and not small else "left",  # inside the frame
        )
    axes.set(xlabel="PSNR on Y, dB → better", ylabel="LPIPS (AlexNet) ↓ better", title=benchmark)
    axes.margins(0.15)
    axes.grid(alpha=0.3)
    _save(figure, path)


def write_curves(path, log) -> None:
    """Plot a run's `log.csv`, one panel per group: losses, D, ratios, validation score."""
    with open(log, newline="") as file:
        rows = list(csv.DictReader(file))
    pyplot = _pyplot()
    groups = {"validation": ["val/psnr_y"]}
    for name in rows[0] if rows else ():
        if "/" in name and not name.startswith("val/"):
            groups.setdefault(name.split("/")[0], []).append(name)
    lines = -(-len(groups) // 3)
    figure = pyplot.figure(figsize=(4 * min(3, len(groups)), 3.4 * lines), layout="constrained")
    steps = [int(row["step"]) for row in rows]
    for i, (group, names) in enumerate(groups.items(), 1):
        axes = figure.add_subplot(lines, min(3, len(groups)), i)
        for name in names:
            axes.plot(
                steps, [float(row[name] or "nan") for row in rows], marker="." if len(rows) < 40 else None, label=name
            )
        axes.set(xlabel="step", title="PSNR on Y, dB" if group == "validation" else group)
        if group in ("loss", "ratio", "grad"):
            axes.set_yscale("log")
        axes.legend(fontsize=8)
        axes.grid(alpha=0.3)
    _save(figure, path)


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _save(figure, path) -> None:
    with write_aside(Path(path)) as temporary:
        figure.savefig(temporary, dpi=200)
    _pyplot().close(figure)
