"""How the package stands beside what users would pick instead: `python benchmarks/compare.py [ROW ...]`.

Give rows by the beginning of their names (train, upscale-128, gpu, limit, growth, cold, pipeline); all by default.
Results go into benchmarks/results.json, and from there into results.md, results.png (four rows, for the README) and
docs/speed.png. The other packages live in their own environment, made on first use in benchmarks/.peers (3 GB).
Contenders take turns in one run, so that other load affects all alike; seconds are medians, with quartiles beside them.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import limits
import numpy as np
from contenders import ENVIRONMENT, HERE, PEERS, in_turns, mirrored, row

from srgan_tf.evaluation.tables import markdown

RESULTS = HERE / "results.json"
SHOWN = ("upscale-510x339", "upscale-128-avx2", "train-srresnet-f32", "train-srgan-f32")  # in the README

OURS = ["srgan_tf", "srgan_tf float32", "srgan_tf on TensorFlow"]
# Multiplications of an srgan step by hand count, in units of 1e9: VGG of HR and SR and back to SR 172, D on both with
# both gradients 85 and again on the way to SR 57, G three times 20.4.
SRGAN_STEP = 375


def against(name: str, what: str, goal: float, contenders: dict, mine: list[str]) -> dict:
    """A row of the fastest of mine against the fastest other."""
    ran = {k: v["seconds"] for k, v in contenders.items() if "seconds" in v}
    ours, other = (min((s, k) for k, s in ran.items() if (k in mine) == own) for own in (True, False))
    ratio = other[0] / ours[0]
    measured = f"{ratio:.2f} times {other[1]} ({ours[0]:.3f} s against {other[0]:.3f} s)"
    return row(name, what, f"at least {goal} times the fastest other", measured, ratio >= goal, contenders=contenders)


def train(wanted) -> list[dict]:
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        hr = Path(folder) / "hr.npy"
        np.save(hr, np.random.default_rng(0).integers(0, 256, (16, 96, 96, 3), np.uint8))
        for task in ("srresnet", "srgan"):
            for short, precision in (("f32", "float32"), ("bf16", "mixed_bfloat16")):
                name = f"train-{task}-{short}"
                if not wanted(name):
                    continue
                job = {"task": task, "hr": str(hr), "precision": precision, "bfloat16": short == "bf16"}
                both = [("srgan_tf simultaneous", "in_srgan_tf", {**job, "updates": "simultaneous"})]
                found = in_turns(
                    [
                        ("srgan_tf", "in_srgan_tf", job),
                        *(both if task == "srgan" else []),
                        ("PyTorch", "in_torch", {**job, "compiled": False}),
                        ("PyTorch compiled", "in_torch", {**job, "compiled": True}),
                        ("Keras", "in_keras", job),
                    ],
                    rounds=7 if task == "srresnet" else 5,
                )
                what = f"{task} step, 16 crops of 96x96, {precision}"
                ours = ["srgan_tf", "srgan_tf simultaneous"]  # the latter with one pass of D, as in Keras' step
                for one in ours[: 1 + (task == "srgan")]:
                    those = {who: told for who, told in found.items() if who == one or who not in ours}
                    end = one.removeprefix("srgan_tf").replace(" ", "-")
                    rows.append(against(name + end, what, 1.15, those, [one]))
    return rows


def upscale(wanted) -> list[dict]:
    import srgan_tf
    from srgan_tf.data import bicubic
    from srgan_tf.data.bundled import PHOTOS, photographs
    from srgan_tf.export import tflite
    from srgan_tf.io import images

    rows, generator = [], srgan_tf.load("srresnet")
    hr = images.read(PHOTOS / "heldout" / "coffee.jpg")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        weights, float_lite = str(folder / "weights.npz"), str(folder / "float32.tflite")
        srgan_tf.save_weights(generator, weights)
        Path(float_lite).write_bytes(tflite.convert(generator, "float32"))
        np.save(folder / "calibration.npy", np.concatenate(list(photographs("train", generator.scale, 96))))
        int8 = {"int8": True, "calibration": str(folder / "calibration.npy")}
        for name, (height, width) in {"128": (128, 128), "510x339": (339, 510), "720p": (720, 1280)}.items():
            if not wanted(f"upscale-{name}"):
                continue
            small = bicubic.downscale(hr[None], 4).numpy()[0]
            lr = mirrored(small, height, width)[None]
            np.save(folder / "lr.npy", lr.astype(np.float32) / 255)
            job = {"task": "upscale", "weights": weights, "lr": str(folder / "lr.npy"), "tflite": float_lite}
            shipped = {"weights": "srresnet"}  # as LiteRT has it; the others take the same weights from the file
            contenders = [
                ("srgan_tf", "in_srgan_tf", {**job, **shipped, "precision": "auto", "engine": "litert"}),
                ("srgan_tf float32", "in_srgan_tf", {**job, **shipped, "precision": "float32", "engine": "litert"}),
                ("srgan_tf on TensorFlow", "in_srgan_tf", {**job, "precision": "auto", "engine": "tensorflow"}),
                ("Keras", "in_keras", job),
                ("PyTorch", "in_torch", {**job, "compiled": False, "bfloat16": False}),
                ("PyTorch compiled", "in_torch", {**job, "compiled": True, "bfloat16": False}),
                ("PyTorch bfloat16", "in_torch", {**job, "compiled": True, "bfloat16": True}),
                ("ONNX Runtime", "in_runtimes", {**job, "runtime": "onnxruntime"}),
                ("ONNX Runtime int8", "in_runtimes", {**job, **int8, "runtime": "onnxruntime"}),
                ("OpenVINO", "in_runtimes", {**job, "runtime": "openvino", "precision": "f32"}),
                ("OpenVINO bfloat16", "in_runtimes", {**job, "runtime": "openvino", "precision": "bf16"}),
                ("OpenVINO int8", "in_runtimes", {**job, **int8, "runtime": "openvino", "precision": "bf16"}),
                ("LiteRT", "in_runtimes", {**job, "runtime": "litert"}),
            ]
            if name == "128":
                lite = folder / "int8.tflite"
                lite.write_bytes(tflite.convert(generator, "int8", 128))
                contenders.append(("LiteRT int8", "in_runtimes", {**job, "runtime": "litert", "tflite": str(lite)}))
            outputs = {one[0]: str(folder / f"{i}.npy") for i, one in enumerate(contenders)}
            contenders = [(n, script, {**j, "output": outputs[n]}) for n, script, j in contenders]
            found = in_turns(contenders, rounds=7 if name == "128" else 3, together=name == "128")
            near_enough = near_truth(outputs, found, hr if name == "128" else None)
            near = {k: v for k, v in found.items() if k in near_enough}
            what = f"x4 of {width}x{height}, the paper's generator, no back-projection"
            rows.append(against(f"upscale-{name}", what, 1.6, near, OURS))
            rows[-1]["contenders"] = found
            rows[-1]["goal"] = "1.6 times the fastest other within 0.05 dB"
    return rows


def gpu(wanted) -> list[dict]:
    """A row of LiteRT on the machine's GPU against its CPU; none where `auto` does not take the GPU."""
    from srgan_tf.inference import gpu_probe

    if not wanted("gpu-720p"):
        return []
    if (found := gpu_probe.find())["reason"]:
        print(f"gpu-720p: skipped, {found['reason']}", flush=True)
        return []
    with tempfile.TemporaryDirectory() as folder:
        lr = Path(folder) / "lr.npy"
        np.save(lr, np.random.default_rng(0).random((1, 720, 1280, 3), np.float32))
        job = {"task": "upscale", "weights": "srgan", "lr": str(lr), "precision": "auto"}
        engines = {"srgan_tf on the GPU": "gpu", "the CPU": "litert"}
        made = in_turns([(name, "in_srgan_tf", job | {"engine": one}) for name, one in engines.items()], rounds=3)
    what = f"x4 of 1280x720, srgan, no back-projection, {found['adapter']}"
    return [against("gpu-720p", what, 10, made, ["srgan_tf on the GPU"])]


def near_truth(outputs: dict, found: dict, hr) -> list[str]:
    """Who is within 0.05 dB of the Keras call: against HR where there is one, else as near as 40 dB to it."""

    def levels(name):
        return np.rint((np.clip(np.load(outputs[name]), -1, 1) + 1) * 127.5)

    def psnr(a, b):  # where both are: SR goes on below a photograph that was too small
        height, width = np.minimum(a.shape, b.shape)[1:3]
        a, b = a[:, :height, :width], b[:, :height, :width]
        return float(10 * np.log10(255**2 / max(np.mean((a - b) ** 2), 1e-9)))

    near = []
    reference = levels("Keras") if Path(outputs["Keras"]).exists() else None
    for name, figures in found.items():
        if not Path(outputs[name]).exists():
            continue
        sr = levels(name)
        if reference is None:
            reference = sr
        figures["psnr_to_keras"] = psnr(sr, reference)
        loss = 0.0
        if hr is not None:
            loss = psnr(reference, hr[None].astype(float)) - psnr(sr, hr[None].astype(float))
            figures["psnr_lost"] = loss
        if loss <= 0.05 and figures["psnr_to_keras"] >= 40:
            near.append(name)
    return near


def main(wanted: list[str], suffix: str = "", where: str = "") -> None:
    """Measure rows, and write them under their names with the suffix."""

    def is_wanted(name):
        return not wanted or any(name.startswith(one) or one.startswith(name) for one in wanted)

    rows = {r["id"]: r for r in json.loads(RESULTS.read_text())["rows"]} if RESULTS.exists() else {}
    groups = {"train": train, "upscale": upscale, "gpu": gpu, **limits.GROUPS}
    for name, group in groups.items():
        if is_wanted(name):
            made = [r | {"id": r["id"] + suffix, "what": r["what"] + where} for r in group(is_wanted)]
            rows |= {r["id"]: r for r in made}
            if made:
                write(list(rows.values()))
    if not rows:
        sys.exit(f"error: no row of this name; there are {', '.join(groups)}")


def reason(row: dict, peaks: dict) -> str:
    """Why a goal was missed, where that is known; `peaks`: 1e9 multiplications a second by precision."""
    precision = row["id"].rpartition("-")[2]
    if row["met"]:
        return ""
    if row["id"] in ("train-srgan-f32", "train-srgan-bf16") and precision in peaks:
        return (
            f"; {SRGAN_STEP} G multiplications, which alone take {SRGAN_STEP / peaks[precision]:.2f} s at the rate of "
            f"`limit-{precision}`'s matrix product (28 G fewer in Keras: krasserm's D judges once for both networks)"
        )
    if row["id"] == "growth-size":
        times = row["points"][-1][2] / row["points"][-3][2]
        return f"; {times:.2f} times for 16 times the pixels: rows of SR are as wide as the picture"
    return ""


def write(rows: list[dict]) -> None:
    lines = Path("/proc/cpuinfo").read_text().split("\n") if Path("/proc/cpuinfo").exists() else []
    processor = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    machine = f"{os.cpu_count()} cores, {processor}, Python {platform.python_version()}"
    when = time.strftime("%Y-%m-%d")
    RESULTS.write_text(json.dumps({"machine": machine, "date": when, "rows": rows}, indent=1, default=float) + "\n")
    peaks = {r["id"].removeprefix("limit-"): r["peak"] for r in rows if "peak" in r}
    cells = [
        [
            f"`{r['id']}` {r['what']}",
            r["goal"],
            r["measured"] + reason(r, peaks),
            "yes" if r["met"] else "**no**",
        ]
        for r in rows
    ]
    table = markdown(["", "Goal", "Measured", "Met"], *cells, left=4)
    (HERE / "results.md").write_text(f"{machine}, {when}; made by `python benchmarks/compare.py`.\n\n{table}\n")
    if (ENVIRONMENT / "bin" / "python").exists():
        plot = [ENVIRONMENT / "bin" / "python", PEERS / "plot.py", RESULTS]
        subprocess.run([*plot, HERE.parent / "docs" / "speed.png"], check=False)
        subprocess.run([*plot, HERE / "results.png", *SHOWN], check=False)


if __name__ == "__main__":
    main(sys.argv[1:])
