"""RUN/report.html: a run on one page that needs no other file: settings, curves, scores and pictures."""

import base64
import csv
import html
import json
import math
from pathlib import Path

from srgan_tf.images import write_aside

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }
h1, h2 { font-weight: 600 } img { max-width: 100%; display: block; margin: 1em 0 }
table { border-collapse: collapse; font-size: 13px } td, th { padding: 2px 12px 2px 0; text-align: left }
tr:nth-child(even) { background: #f4f4f4 } .curves { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1em }
svg { width: 100%; background: #fafafa } text { font: 11px sans-serif; fill: #444 }
.scroll { overflow-x: auto } @media (max-width: 700px) { .curves { grid-template-columns: 1fr } }
"""


def write(run) -> Path:
    """Write the report of a run's folder from what lies in it: `run.json`, `log.csv` and `evaluation/`.

    Returns:
        The page's path.
    """
    run = Path(run)
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    rest = [f"{name}: {value}" for name, value in {**about, "folder": run}.items() if not isinstance(value, dict)]
    parts = [f"<h1>{html.escape(about['settings']['name'])}</h1><p>{html.escape('; '.join(rest))}</p>"]
    results = run / "evaluation" / "results.json"
    if results.exists():
        rows = json.loads(results.read_text(encoding="utf-8"))["rows"]
        parts += ["<h2>Scores</h2>", _table([list(rows[0]), *([_number(v) for v in row.values()] for row in rows)])]
    if (run / "log.csv").exists():
        with open(run / "log.csv", newline="") as file:
            log = list(csv.DictReader(file))
        parts += ["<h2>Curves</h2><div class=curves>", *_curves(log), "</div>"]
    if sheets := sorted((run / "evaluation" / "sheets").rglob("*.png")):
        parts += ["<h2>Pictures</h2>", *map(_picture, sheets)]
    parts += ["<h2>Settings</h2>", _table([["setting", "value"], *about["settings"].items()])]
    parts += ["<h2>Versions</h2>", _table([["package", "version"], *about["versions"].items()])]
    title = html.escape(f"{run.name}: {about['settings']['name']}")
    text = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style></head><body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )
    with write_aside(run / "report.html") as temporary:
        Path(temporary).write_text(text, encoding="utf-8")
    return run / "report.html"


def _number(value) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


def _table(rows: list) -> str:
    head, *body = ([html.escape(str(cell)) for cell in row] for row in rows)
    lines = ["<tr><th>" + "<th>".join(head), *("<tr><td>" + "<td>".join(row) for row in body)]
    return f"<div class=scroll><table>{''.join(lines)}</table></div>"


def _picture(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img alt="{html.escape(path.stem)}" src="data:image/png;base64,{data}">'


def _curves(log: list[dict]) -> list[str]:
    """An SVG a column of the log, over its steps; a single row is a dot."""
    columns = [name for name in (log[0] if log else ()) if name != "step"]
    steps = [float(row["step"]) for row in log]
    return [_curve(name, steps, [float(row[name] or "nan") for row in log]) for name in columns]


def _curve(name: str, steps: list[float], values: list[float]) -> str:
    points = [(s, v) for s, v in zip(steps, values) if math.isfinite(v)]
    if not points:
        return ""
    (left, right), (low, high) = ((min(axis), max(axis)) for axis in zip(*points))
    width, height, edge = 320, 170, 26

    def place(step: float, value: float) -> tuple[float, float]:
        x = (step - left) / (right - left or 1)
        y = (value - low) / (high - low) if high > low else 0.5
        return edge + x * (width - 2 * edge), height - edge - y * (height - 2 * edge)

    placed = [place(*point) for point in points]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
    x, y = placed[-1]
    labels = [(edge, 14, "start", name), (width - edge, 14, "end", f"{points[-1][1]:.4g}")]
    bottom = (f"step {left:,.0f} – {right:,.0f}", f"{low:.4g} – {high:.4g}")
    labels += [(edge, height - 8, "start", bottom[0]), (width - edge, height - 8, "end", bottom[1])]
    texts = "".join(f'<text x="{x}" y="{y}" text-anchor="{a}">{html.escape(t)}</text>' for x, y, a, t in labels)
    return (
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(name)}">{texts}'
        f'<polyline points="{line}" fill="none" stroke="#1f6fb4" stroke-width="1.5"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="#1f6fb4"/></svg>'
    )
