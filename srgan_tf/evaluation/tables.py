"""Rows of scores → Markdown, CSV and JSON, beside the rows that the paper printed."""

import csv
import json
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import srgan_tf
from srgan_tf.io.files import write_aside

# Table 2 of the paper: PSNR in dB, and SSIM as daala takes it.
PAPER = {
    "Set5": "26.26/.7552 28.43/.8211 30.07/.8627 30.33/.872 31.52/.8938 30.76/.8784 32.05/.9019 29.40/.8472",
    "Set14": "24.64/.7100 25.99/.7486 27.18/.7861 27.45/.7972 28.02/.8074 27.66/.8004 28.49/.8184 26.02/.7397",
    "BSD100": "25.02/.6606 25.94/.6935 26.68/.7291 26.83/.7387 27.21/.7493 27.02/.7442 27.58/.7620 25.16/.6688",
}
PAPER_MODELS = ("nearest", "bicubic", "SRCNN", "SelfExSR", "DRCN", "ESPCN", "SRResNet", "SRGAN")
# Column of results.csv → heading and form in the table.
COLUMNS = {
    "psnr_y": ("PSNR", "{:.2f}"),
    "ssim_y": ("SSIM", "{:.4f}"),
    "ssim_daala": ("SSIM (daala)", "{:.4f}"),
    "psnr_rgb": ("PSNR RGB", "{:.2f}"),
    "ssim_rgb": ("SSIM RGB", "{:.4f}"),
    "lpips_alex": ("LPIPS Alex", "{:.3f}"),
    "lpips_vgg": ("LPIPS VGG", "{:.3f}"),
    "parameters": ("Parameters", "{:,}"),
    "multiply_adds": ("Multiply-adds", "{:,}"),
    "seconds_a_picture": ("s/picture", "{:.3f}"),
}
UNSHOWN = ("model", "benchmark", "pictures", "scale")
LEGEND = (
    "PSNR (dB) and both SSIMs: Y channel, rounded uint8, border of {scale} px left out (of LPIPS too). SSIM: Gaussian "
    "11x11; daala: as the paper measured it. Multiply-adds: for an SR of 1280x720. *Italics*: quoted from the "
    "paper's table 2, not measured here."
)


def quoted(benchmark: str, scale: int) -> list[dict]:
    """Return the paper's rows for a benchmark at x4."""
    if scale != 4 or benchmark not in PAPER:
        return []
    pairs = [map(float, pair.split("/")) for pair in PAPER[benchmark].split()]
    return [{"model": model, "psnr_y": p, "ssim_daala": s} for model, (p, s) in zip(PAPER_MODELS, pairs)]


def column(name: str) -> tuple[str, str]:
    """Return heading and format of a column of results.csv."""
    return COLUMNS.get(name, (name, "{:.4g}"))


def table(rows: list[dict]) -> str:
    """Return a Markdown table, aligned for terminals; the paper's rows follow each benchmark's in italics."""
    there = dict.fromkeys(name for row in rows for name, value in row.items() if value is not None)
    unknown = [name for name in there if name not in (*COLUMNS, *UNSHOWN)]  # new scores are shown unformatted
    columns = [*(name for name in COLUMNS if name in there), *unknown]
    lines = [["Benchmark", "Model", *(column(name)[0] for name in columns)]]
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        mine = [row for row in rows if row["benchmark"] == benchmark]
        lines += [_cells(benchmark, row["model"], row, columns) for row in mine]
        lines += [
            _cells(benchmark, f"*{row['model']} (paper)*", row, columns, "*{}*")
            for row in quoted(benchmark, mine[0]["scale"])
        ]
    return f"{markdown(*lines, left=2)}\n\n{LEGEND.format(scale=rows[0]['scale'])}"


def markdown(headings: list[str], *lines: list[str], left: int = 1) -> str:
    """Return a Markdown table, aligned for terminals: `left` columns to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(headings, *lines)]
    rule = ["-" * width if i < left else "-" * (width - 1) + ":" for i, width in enumerate(widths)]
    rows = [
        [c.ljust(w) if i < left else c.rjust(w) for i, (c, w) in enumerate(zip(r, widths))] for r in (headings, *lines)
    ]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (rows[0], rule, *rows[1:]))


def _cells(benchmark: str, model: str, row: dict, columns: list[str], form: str = "{}") -> list[str]:
    values = [(column(name)[1], row.get(name)) for name in columns]
    return [benchmark, model, *("–" if value is None else form.format(f.format(value)) for f, value in values)]


def versions() -> dict[str, str]:
    """Return the versions of the packages that made the scores."""
    found = {"srgan_tf": srgan_tf.__version__, "python": platform.python_version()}
    for package in ("tensorflow", "keras", "numpy", "pillow", "ai-edge-litert"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return {**found, "machine": platform.platform()}


def write(folder: Path, rows: list[dict], details: dict, command: str) -> None:
    """Write results.csv (one row per model and benchmark), results.md and results.json (with scores per picture)."""
    made_by = versions()
    with write_aside(folder / "results.csv") as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()} for row in rows)
    everything = {
        "command": command,
        "versions": made_by,
        "rows": rows,
        "pictures": details,
        "quoted": {name: quoted(name, rows[0]["scale"]) for name in details},
    }
    with write_aside(folder / "results.json") as temporary:
        # JSON has no infinity, the PSNR of equal pictures.
        finite = json.loads(json.dumps(everything), parse_constant=lambda name: None)
        Path(temporary).write_text(json.dumps(finite, indent=1), encoding="utf-8")
    made = ", ".join(f"{name} {number}" for name, number in made_by.items())
    by = f" by `{command}`" if command else ""
    text = f"{table(rows)}\n\nMade{by} with {made}.\n"
    with write_aside(folder / "results.md") as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
