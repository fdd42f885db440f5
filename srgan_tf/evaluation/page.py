"""RUN/report.html: settings, curves, scores and pictures of a run, in one self-contained page."""

import base64
import html
import json
from pathlib import Path

from srgan_tf.io.files import write_aside

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto; padding: 0 1em; color: #222 }
h1, h2 { font-weight: 600 } img { max-width: 100%; display: block; margin: 1em 0 }
table { border-collapse: collapse; font-size: 13px } td, th { padding: 2px 12px 2px 0; text-align: left }
tr:nth-child(even) { background: #f4f4f4 } .scroll { overflow-x: auto }
"""


def write(run) -> Path:
    """Write the report of a run's folder, from its `run.json`, `curves.png` and `evaluation/`.

    Returns:
        The page's path.
    """
    run = Path(run)
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    resumed = ", ".join(f"step {life['step']}" for life in about.get("lives", [])[1:])
    facts = {**about, "folder": run, "resumed at": resumed}
    rest = [f"{name}: {value}" for name, value in facts.items() if value and not isinstance(value, (dict, list))]
    parts = [f"<h1>{html.escape(about['settings']['name'])}</h1><p>{html.escape('; '.join(rest))}</p>"]
    results = run / "evaluation" / "results.json"
    if results.exists():
        rows = json.loads(results.read_text(encoding="utf-8"))["rows"]
        parts += ["<h2>Scores</h2>", _table([list(rows[0]), *([_number(v) for v in row.values()] for row in rows)])]
    if (run / "curves.png").exists():
        parts += ["<h2>Curves</h2>", _picture(run / "curves.png")]
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
