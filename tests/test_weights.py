import numpy as np
import pytest

from srgan_tf import weights
from srgan_tf.backends import open_backend
from srgan_tf.data.benchmarks import find_benchmark
from srgan_tf.evaluation import judge
from srgan_tf.weights import WeightsError, load, shipped


@pytest.mark.parametrize("name", shipped())
def test_shipped_weights_are_the_papers_generator(name):
    generator = load(name)
    assert generator.count_params() == 1_550_659 + 4_224


def test_shipped_srresnet_scores_as_its_card_says(benchmarks):
    pictures = find_benchmark("Set5", 4, benchmarks)
    scores = [result.scores["srresnet"]["psnr_y"] for result in judge([open_backend("srresnet")], pictures, ())]
    assert np.mean(scores) == pytest.approx(30.36, abs=0.02)


def test_damaged_shipped_file_is_named(tmp_path, monkeypatch):
    content = bytearray((weights.PRETRAINED / "srresnet.npz").read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "srresnet.npz").write_bytes(content)
    (tmp_path / "SHA256SUMS").write_text((weights.PRETRAINED / "SHA256SUMS").read_text())
    monkeypatch.setattr(weights, "PRETRAINED", tmp_path)
    with pytest.raises(WeightsError, match=r"srresnet\.npz: missing or damaged"):
        load("srresnet")


def test_unknown_names_are_told_the_known_ones():
    with pytest.raises(WeightsError, match=r"nosuch: no such weights; give .*srresnet"):
        load("nosuch")
