"""The evaluation against figures that others measured, and the program from flags to files."""

import csv
import itertools
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tqdm.std
from benchmark_files import ROOT, need
from krasserm import krasserm  # noqa: F401 (a fixture)
from PIL import Image

from srgan_tf import cli
from srgan_tf.cli import evaluate as program
from srgan_tf.data.benchmarks import find_benchmark
from srgan_tf.data.bicubic import enlarge
from srgan_tf.errors import WeightsError
from srgan_tf.evaluation import evaluate, sheets, tables
from srgan_tf.inference import loading, runners
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator

PROGRAM = Path(__file__).parents[2] / "evaluate.py"


@dataclass
class Given:
    """A benchmark picture that is in memory."""

    name: str
    scale: int
    hr: np.ndarray
    lr: np.ndarray

    def read(self):
        return self.hr, self.lr


@pytest.fixture
def data(tmp_path):
    """A benchmark of two pictures, one of them grey."""
    folder = tmp_path / "data/Tiny"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (60, 76, 3), np.uint8)).resize((64, 48)).save(folder / "colour.png")
    Image.fromarray(rng.integers(0, 256, (48, 64), np.uint8)).save(folder / "grey.png")
    return folder.parent


@pytest.fixture
def two_files(tmp_path):
    paths = []
    for name in ("mse", "gan"):
        generator = Generator(blocks=1, channels=4)
        weights.save_weights(generator, tmp_path / f"{name}.npz")
        paths.append(str(tmp_path / f"{name}.npz"))
    return paths


def run(**values) -> int:
    """The program in this process."""
    flags = program.command.flags()
    flags.mark_as_parsed()
    for name, value in values.items():
        flags[name].value = value
    try:
        cli.guarded(program.main, flags, [])
    except SystemExit as exit:
        return exit.code
    return 0


@pytest.mark.matrix
@pytest.mark.parametrize(
    "benchmark, name, psnr, distance",
    [
        ("Set5", "pre_generator", 31.99, 0.179),
        ("Set5", "gan_generator", 29.17, 0.086),
        ("Set14", "pre_generator", 28.43, 0.291),
        ("Set14", "gan_generator", 26.08, 0.165),
    ],
)
def test_imported_models_score_as_measured_elsewhere(krasserm, benchmark, name, psnr, distance):  # noqa: F811
    need(benchmark)
    model = loading.load_runner(krasserm / f"{name}.h5")
    scores = [result.scores[name] for result in evaluate.judge([model], find_benchmark(benchmark, 4, ROOT))]
    assert np.mean([score["psnr_y"] for score in scores]) == pytest.approx(psnr, abs=0.02)
    assert np.mean([score["lpips_alex"] for score in scores]) == pytest.approx(distance, abs=0.002)


def test_multiply_adds_by_hand():
    # figure 4 at 320x180: the convolutions' taps times channels in and out, times how often each is applied
    head, residual, trunk, tail = 81 * 3 * 64, 16 * 2 * 9 * 64 * 64, 9 * 64 * 64, 81 * 64 * 3
    a_pixel = head + residual + trunk + 9 * 64 * 256 * (1 + 4) + tail * 16
    assert Generator().multiply_adds() == 320 * 180 * a_pixel


def test_grey_is_scored_as_it_is_and_its_tint_by_lpips(data):
    def tint(lr):
        assert lr.shape[-1] == 3 and (lr[..., 0] == lr[..., 1]).all()
        sr = np.asarray(enlarge(lr, 4))
        return np.stack([sr[..., 0] // 2, sr[..., 1], 2 * sr[..., 2] - sr[..., 2] // 2], -1)

    grey = [picture for picture in find_benchmark("Tiny", 4, data) if picture.name == "grey"]
    hr, lr = grey[0].read()
    lr = lr // 2  # so that no channel is clipped
    picture = Given("grey", 4, hr, lr)
    (result,) = evaluate.judge([*evaluate.interpolations(4), runners.Function("tint", 4, tint)], [picture])
    bicubic, tinted = result.scores["bicubic"], result.scores["tint"]
    assert tinted["psnr_y"] == pytest.approx(bicubic["psnr_y"], abs=0.05)
    assert tinted["lpips_alex"] > bicubic["lpips_alex"] + 0.01
    wanted = 10 * np.log10(255**2 / np.mean((hr - np.asarray(enlarge(lr, 4), float))[:, 4:-4, 4:-4] ** 2))
    assert bicubic["psnr_y"] == pytest.approx(wanted, abs=1e-3)


def test_the_program_writes_everything(data, two_files, tmp_path, capsys):
    folder = tmp_path / "out"
    wanted = ["nearest", "bicubic", "mse", "gan", "mse~gan@0.5"]
    code = run(
        weights=[",".join(two_files)],
        benchmark=["Tiny"],
        data_dir=str(data),
        output=str(folder),
        lpips=["alex"],
        rgb=True,
        blend=["0.5"],
        sheet=True,
    )
    assert code == 0
    with open(folder / "results.csv") as file:
        rows = list(csv.DictReader(file))
    assert [row["model"] for row in rows] == wanted
    assert list(rows[0])[:6] == ["model", "benchmark", "psnr_y", "ssim_y", "ssim_daala", "lpips_alex"]
    everything = json.loads((folder / "results.json").read_text())
    assert set(everything["pictures"]["Tiny"]) == {"colour", "grey"}
    assert "tensorflow" in everything["versions"]
    mean = np.mean([scores["mse"]["psnr_y"] for scores in everything["pictures"]["Tiny"].values()])
    assert float(rows[2]["psnr_y"]) == pytest.approx(mean, abs=1e-3)
    printed = capsys.readouterr().out
    assert all(f" {name} " in printed for name in wanted)
    assert printed.strip() in (folder / "results.md").read_text()
    assert sorted(path.name for path in (folder / "sheets/Tiny").iterdir()) == ["colour.png", "grey.png"]


def test_the_papers_rows_are_marked_as_quoted():
    row = {"model": "mine", "benchmark": "Set5", "psnr_y": 30.0, "ssim_daala": 0.85, "scale": 4}
    text = tables.table([row])
    assert "| *SRGAN (paper)* " in " ".join(text.split()).replace("| Set5 ", "")
    assert "*29.40*" in text and "*0.8472*" in text and "quoted" in text
    assert "paper)" not in tables.table([{**row, "scale": 2}])


def test_a_score_that_no_column_knows_is_shown():
    row = {"model": "mine", "benchmark": "mine", "psnr_y": 30.0, "niqe": 3.14159, "scale": 4, "pictures": 5}
    heading, _, cells = (line.replace(" ", "") for line in tables.table([row]).splitlines()[:3])
    assert heading == "|Benchmark|Model|PSNR|niqe|" and cells == "|mine|mine|30.00|3.142|"


def test_blend_has_exact_ends(two_files):
    a, b = (weights.load(path) for path in two_files)
    for amount, end in ((0, a), (1, b)):
        for name, array in weights.blend(a, b, amount).get_arrays().items():
            assert np.array_equal(array, end.get_arrays()[name])
    middle = weights.blend(a, b, 0.25).get_arrays()["tail/conv/kernel"]
    assert middle == pytest.approx(
        0.75 * a.get_arrays()["tail/conv/kernel"] + 0.25 * b.get_arrays()["tail/conv/kernel"], abs=1e-6
    )
    with pytest.raises(WeightsError, match="blocks"):
        weights.blend(a, Generator(blocks=2, channels=4), 0.5)
    with pytest.raises(WeightsError, match=r"\[0, 1\]"):
        weights.blend(a, b, 1.5)


@pytest.mark.matrix
def test_plot_has_the_curve_and_ensembles_their_sign(data, two_files, tmp_path):
    pytest.importorskip("matplotlib")
    rows = evaluate.evaluate(two_files, ["Tiny"], tmp_path / "out", data, networks=["alex"], plot=True, ensembled=True)
    assert (tmp_path / "out/plot-Tiny.png").stat().st_size > 10_000
    names = [row["model"] for row in rows]
    assert names[:5] == ["nearest", "bicubic", "mse+", "gan+", "mse~gan@0.2+"]


def test_same_names_are_told_apart(two_files, tmp_path):
    (tmp_path / "other").mkdir()
    other = tmp_path / "other/mse.npz"
    weights.save_weights(Generator(blocks=1, channels=4), other)
    sources = [two_files[0], str(other)]
    assert [model.name for model in evaluate.open_models(sources)] == list(map(str, sources))
    names = [model.name for model in evaluate.open_models([two_files[0]] * 3)]
    assert len(set(names)) == 3 and names[2] == f"{two_files[0]} (3)"


def test_a_run_of_a_shipped_name_has_its_own_scores(data, tmp_path):
    """The second row's once stood in both."""
    run = tmp_path / "compact"
    run.mkdir()
    weights.save_weights(Generator(blocks=1, channels=4), run / "generator.npz")
    for sources in ([str(run), "compact"], ["compact", str(run)]):
        rows = {
            row["parameters"]: row["psnr_y"] for row in evaluate.evaluate(sources, ["Tiny"], None, data, networks=())
        }
        assert len(set(rows.values())) == len(rows) == 3  # and the interpolations, of None


def test_equal_pictures_leave_json_valid(data, two_files, tmp_path):
    details = {"a": {"x": {"psnr_y": np.inf}}}
    tables.write(tmp_path, [{"model": "x", "benchmark": "b", "psnr_y": np.inf, "scale": 4}], {"b": details}, "")
    text = (tmp_path / "results.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["rows"][0]["psnr_y"] is None


def test_the_crop_is_where_models_disagree():
    pictures = [np.zeros((1, 200, 300, 3), np.uint8) for _ in range(3)]
    pictures[1][:, 100:140, 210:250] = 200
    y, x, side = sheets.disagreement(pictures)
    assert y <= 100 and y + side >= 140
    assert x <= 210 and x + side >= 250


@pytest.mark.parametrize(
    "values, message",
    [
        ({"benchmark": ["Set99"]}, "Set99"),
        ({"benchmark": [""]}, "no benchmark"),
        ({"weights": ["nowhere.npz"]}, "nowhere.npz"),
        ({"sheet": True}, "--output"),
        ({"lpips": ["squeeze"]}, "squeeze"),
        ({"benchmark": ["Tiny,./Tiny"]}, "the same name"),
        ({"blend": ["half"]}, "half"),
        ({"blend": ["0.5"]}, "two --weights"),
    ],
)
def test_bad_input_is_one_clear_line(data, tmp_path, capsys, values, message):
    assert run(**{"benchmark": ["Tiny"], "data_dir": str(data), **values}) in (1, 2)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err.splitlines()[0]
    assert "Traceback" not in captured.err


def test_damaged_picture_leaves_no_results(data, tmp_path, capsys):
    (data / "Tiny/zebra.png").write_bytes(b"no picture")
    assert run(benchmark=["Tiny"], data_dir=str(data), output=str(tmp_path / "out"), lpips=[]) == 1
    assert "zebra.png" in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_too_small_a_picture_is_named(data, capsys):
    Image.new("RGB", (64, 32)).save(data / "Tiny/flat.png")
    assert run(benchmark=["Tiny"], data_dir=str(data), lpips=["alex"]) == 1
    assert "flat.png: scores need at least 39x39 px" in capsys.readouterr().err


def test_models_of_two_scales_do_not_share_a_table(data, two_files, tmp_path, capsys):
    weights.save_weights(Generator(blocks=1, channels=4, scale=2), tmp_path / "x2.npz")
    assert run(weights=[two_files[0], str(tmp_path / "x2.npz")], benchmark=["Tiny"], data_dir=str(data)) == 1
    assert "x2" in capsys.readouterr().err


def test_a_long_evaluation_says_how_far_it_is_in_a_log(monkeypatch, capsys):
    monkeypatch.setattr(tqdm.std, "time", itertools.count(0, 61).__next__)
    results = [evaluate.Result(name, None, {}, {}) for name in ("baby", "bird")]
    assert list(evaluate._with_progress(iter(results), "Set5", 2)) == results
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2 and lines[0].startswith("Set5  50% ") and lines[0].endswith(", baby]") and "2/2" in lines[1]


def test_help_is_quick_and_words_that_belong_to_no_flag_are_refused():
    help_ = subprocess.run(
        [sys.executable, "-X", "importtime", str(PROGRAM), "--help"], capture_output=True, text=True, timeout=60
    )
    assert help_.returncode == 0
    assert "--weights" in help_.stdout
    assert "tensorflow" not in help_.stderr
    stray = subprocess.run(
        [sys.executable, str(PROGRAM), "--weights=a", "b"], capture_output=True, text=True, timeout=60
    )
    assert stray.returncode == 2
    assert "'b'" in stray.stderr and len(stray.stderr.splitlines()) == 1
