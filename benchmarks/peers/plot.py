"""Draw results.json: `plot.py RESULTS OUTPUT [ROW …]`, seconds of each contender, ours dark.

Without rows: all of them, contenders that make another picture hollow. With rows: these, two per line, with the fastest
variant of each package that makes Keras' picture.
"""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

FAR = 40  # dB from Keras' picture below which a contender makes another one


def fastest_per_package(ran: dict) -> dict:
    best = {}
    for name, one in sorted(ran.items(), key=lambda item: item[1]["seconds"]):
        if one.get("psnr_to_keras", 99) >= FAR:
            best.setdefault(name.split()[0], (name, one))
    return dict(best.values())


def draw(row: dict, axes, short: bool) -> None:
    ran = {name: one for name, one in row["contenders"].items() if "seconds" in one}
    ran = fastest_per_package(ran) if short else ran
    ran = dict(sorted(ran.items(), key=lambda item: -item[1]["seconds"]))
    seconds = [one["seconds"] for one in ran.values()]
    spread = [[abs(s - one["quartiles"][i]) for s, one in zip(seconds, ran.values())] for i in (0, 1)]
    colours = ["#1b4965" if name.startswith("srgan_tf") else "#bfc9d1" for name in ran]
    far = {name: one["psnr_to_keras"] for name, one in ran.items() if one.get("psnr_to_keras", 99) < FAR}
    bars = axes.barh(list(ran), seconds, xerr=spread, color=colours, error_kw={"elinewidth": 0.8, "ecolor": "#555"})
    for bar, name in zip(bars, ran):
        bar.set(**{"facecolor": "white", "edgecolor": "#bfc9d1"} if name in far else {})
    labels = [
        f"{s:.3g} s" + (f", {far[name]:.0f} dB from Keras' picture" if name in far else "")
        for s, name in zip(seconds, ran)
    ]
    axes.bar_label(bars, labels, padding=4, fontsize=8)
    what = row["what"].replace(", no back-projection", "") if short else f"{row['id']}: {row['what']}"
    axes.set_title(what, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.margins(x=0.16)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def main(source: str, output: str, ids: list[str]) -> None:
    with open(source) as file:
        found = json.load(file)
    rows = {row["id"]: row for row in found["rows"] if "contenders" in row}
    rows = [rows[one] for one in ids] if ids else list(rows.values())
    if ids:
        figure, all_axes = plt.subplots(-(-len(rows) // 2), 2, figsize=(9, 1.9 * -(-len(rows) // 2)), squeeze=False)
    else:
        height = [len(row["contenders"]) for row in rows]
        size = (8, 0.25 * sum(height) + 0.7 * len(rows))
        figure, all_axes = plt.subplots(len(rows), 1, figsize=size, height_ratios=height, squeeze=False)
    for row, axes in zip(rows, all_axes.flat):
        draw(row, axes, bool(ids))
    figure.text(0.01, 0.002, found["machine"] + ", " + found["date"], fontsize=7, color="#555")
    figure.tight_layout()
    figure.savefig(output, dpi=110)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
