"""results.json → a picture: the seconds of each contender, ours dark, those that make another picture hollow."""

import json
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

source, output = sys.argv[1:]
with open(source) as file:
    found = json.load(file)
rows = [row for row in found["rows"] if "contenders" in row]
height = [len(row["contenders"]) for row in rows]
figure, all_axes = plt.subplots(
    len(rows), 1, figsize=(8, 0.25 * sum(height) + 0.7 * len(rows)), height_ratios=height, squeeze=False
)
for row, axes in zip(rows, all_axes[:, 0]):
    ran = {name: one for name, one in row["contenders"].items() if "seconds" in one}
    ran = dict(sorted(ran.items(), key=lambda item: -item[1]["seconds"]))
    seconds = [one["seconds"] for one in ran.values()]
    spread = [[abs(s - one["quartiles"][i]) for s, one in zip(seconds, ran.values())] for i in (0, 1)]
    colours = ["#1b4965" if name.startswith("srgan_tf") else "#bfc9d1" for name in ran]
    far = {name: one["psnr_to_keras"] for name, one in ran.items() if one.get("psnr_to_keras", 99) < 40}
    bars = axes.barh(list(ran), seconds, xerr=spread, color=colours, error_kw={"elinewidth": 0.8, "ecolor": "#555"})
    for bar, name in zip(bars, ran):
        bar.set(**{"facecolor": "white", "edgecolor": "#bfc9d1"} if name in far else {})
    told = [
        f"{s:.3g} s" + (f", {far[name]:.0f} dB from Keras' picture" if name in far else "")
        for s, name in zip(seconds, ran)
    ]
    axes.bar_label(bars, told, padding=4, fontsize=8)
    axes.set_title(f"{row['id']}: {row['what']}", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    axes.margins(x=0.12)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
figure.text(0.01, 0.002, found["machine"] + ", " + found["date"], fontsize=7, color="#555")
figure.tight_layout()
figure.savefig(output, dpi=110)
