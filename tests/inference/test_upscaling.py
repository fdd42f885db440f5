"""Tiled results are whole-image results, in every depth and number of bands."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conftest import matrix

from srgan_tf.data.levels import to_uint8
from srgan_tf.inference import fast, generators, pictures, upscaling
from srgan_tf.inference.fast import FastGraph
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.inference.pipeline import Pipeline
from srgan_tf.inference.tiling import spans, tiled
from srgan_tf.io import images
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator
from srgan_tf.models.weights import load, save_weights


@functools.cache
def generator(**options) -> Generator:
    """A small network with weights large enough that context and batch norm matter."""
    network, rng = Generator(**{"blocks": 2, "channels": 8, **options}), np.random.default_rng(0)
    network.set_arrays(
        {
            name: rng.uniform(0.5, 1.5, array.shape) if "variance" in name else rng.normal(0, 0.15, array.shape)
            for name, array in network.get_arrays().items()
        }
    )
    return network


@functools.cache
def graph() -> FastGraph:
    return FastGraph(generator())


@functools.cache
def default() -> upscaling.Upscaler:
    return upscaling.Upscaler(generator())


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(1).integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_folded_and_fast_are_the_same_function(scale, monkeypatch):
    monkeypatch.setattr(fast, "PIECE", 40)
    network = generator(scale=scale)
    lr = np.random.default_rng(0).random((1, 90, 77, 3), np.float32)
    expected = network(lr, training=False)
    folded = network.without_batch_norm()
    assert not folded.batch_norm
    np.testing.assert_allclose(folded(lr, training=False), expected, atol=2e-5)
    np.testing.assert_allclose(folded.with_batch_norm()(lr, training=False), expected, atol=2e-5)
    np.testing.assert_allclose(FastGraph(network)(lr), expected, atol=2e-5)


def test_slopes_above_one_are_kept():
    network = Generator(blocks=1, channels=4)
    network.set_arrays({**network.get_arrays(), "head/prelu/alpha": np.full(4, 1.5)})
    lr = np.random.default_rng(0).random((1, 12, 9, 3), np.float32)
    np.testing.assert_allclose(FastGraph(network)(lr), network(lr, training=False), atol=1e-5)


@pytest.mark.parametrize("shrink", [True, False])
def test_spans_cover_an_axis_with_context(shrink):
    for size in (1, 30, 41, 100, 137, 1000):
        for window in (41, 64, 99):
            found = spans(size, window, 20, shrink)
            assert [span.first for span in found] == [0, *(span.last for span in found[:-1])]
            assert found[-1].last == size
            lengths = {span.stop - span.start for span in found}
            assert len(lengths) == 1 and (max(lengths) <= window if shrink else lengths == {min(window, size)})
            for span in found:
                assert span.start >= 0 and span.stop <= size
                assert span.start == 0 or span.first - span.start >= 20
                assert span.stop == size or span.stop - span.last >= 20


@pytest.mark.parametrize("height,width", [(97, 131), (61, 33)])
@pytest.mark.parametrize("window", [40, 57, 96])
def test_tiled_is_whole(height, width, window):
    network, fast = generator(), graph()
    lr = np.random.default_rng(0).random((1, height, width, 3), np.float32)
    whole = np.asarray(network(lr, training=False))
    np.testing.assert_allclose(tiled(fast, lr, window, network.context, 4), whole, atol=1e-4)
    few = tiled(fast, lr, window, 4, 4)
    assert min(height, width) < window or np.abs(few - whole).max() > 1e-2


def test_the_papers_generator_needs_its_40_px():
    network = weights.load("srresnet")
    lr = np.random.default_rng(0).random((1, 30, 117, 3), np.float32)
    whole = np.asarray(network(lr, training=False))
    fast = FastGraph(network)
    assert network.context == 40
    enough, few = (tiled(fast, lr, 97, context, 4) for context in (40, 8))
    np.testing.assert_allclose(enough, whole, atol=1e-4)
    assert np.mean(to_uint8(enough) != to_uint8(whole)) < 1e-4
    assert np.abs(few - whole).max() > 1e-3
    assert np.mean(to_uint8(few) != to_uint8(whole)) > 1e-4


@pytest.mark.parametrize(
    "options", [{}, {"back_projection": "none"}, {"back_projection": "colour"}, {"scale": 3}, {"scale": 2}]
)
def test_upscaled_tiles_are_within_a_level(options, monkeypatch):
    upscaler, image = upscaling.Upscaler(generator(), precision="float32", **options), noise(97, 131, 3)
    whole = upscaler(image).astype(int)
    monkeypatch.setattr(Pipeline, "tile_size", lambda self, *_: (2 * self.overlap + 17, 2 * self.overlap + 23))
    difference = np.abs(upscaler(image) - whole)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-4


def test_plain_output_is_the_generators():
    image = noise(40, 50, 3)
    expected = to_uint8(generator()(image[None] / np.float32(255), training=False))[0].numpy().astype(int)
    made = upscaling.Upscaler(generator(), precision="float32", back_projection="none")(image)
    difference = np.abs(made - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 1e-3


@pytest.mark.parametrize("shape", [(1, 1), (1, 70), (9, 7, 1), (9, 7, 2), (9, 7, 3), (9, 7, 4)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_depth_and_bands_are_kept(shape, dtype):
    made = default()(noise(*shape, dtype=dtype))
    assert made.dtype == dtype
    assert made.shape == (4 * shape[0], 4 * shape[1], *shape[2:])


def test_sixteen_bits_are_more_than_eight():
    ramp = np.broadcast_to(np.linspace(20_000, 21_000, 60).astype(np.uint16), (20, 60))
    assert len(np.unique(default()(ramp))) > 1000


def test_grey_gets_no_tint():
    grey = np.repeat(noise(30, 40, 1), 3, 2)
    made = default()(grey)
    np.testing.assert_array_equal(made[..., 0], made[..., 1])
    np.testing.assert_array_equal(made[..., 0], made[..., 2])


@pytest.mark.parametrize("colour", [0, 255, (255, 0, 0), (0, 255, 0), (200, 30, 90)])
def test_back_projection_keeps_flat_colours(colour):
    flat = np.empty((48, 48, 3), np.uint8)
    flat[:] = colour
    # The worst shift there is: a network that gives one colour whatever it is asked.
    shifting = Generator(blocks=1, channels=4)
    shifting.set_arrays({name: np.zeros_like(array) for name, array in shifting.get_arrays().items()})
    made = upscaling.Upscaler(shifting)(flat)[48:-48, 48:-48].astype(float)
    assert np.abs(made.mean((0, 1)) - flat[0, 0]).max() <= 0.5


@pytest.mark.parametrize("name", matrix(["srresnet", "srgan"], "srgan"))
def test_shipped_weights_keep_flat_colours_and_ramps(name):
    upscaler = upscaling.Upscaler(name)

    def ramp(first, last, width):
        t = (np.arange(width)[:, None] + 0.5) / width
        return np.broadcast_to(first + t * (np.array(last) - first), (48, width, 3))

    flat = [(colour, colour) for colour in ((0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (200, 30, 90))]
    saturated = ((0, 255, 0), (255, 0, 255))
    for first, last in (*flat, ((0, 0, 0), (255, 255, 255)), ((20, 40, 60), (200, 180, 90)), saturated):
        made = upscaler(np.floor(ramp(first, last, 96) + 0.5).astype(np.uint8))
        error = made - ramp(first, last, 384)[:1]
        assert np.abs(error.mean((0, 1))).max() <= 0.5, (first, last)
        # Rounding in and out is 0.3 of this. Between saturated colours all show a pattern, a GAN a grain on any.
        if (first, last) != saturated and (name == "srresnet" or len({*first, *last}) < 3):
            assert np.abs(error).mean() <= 0.5, (first, last)


def test_opaque_stays_opaque():
    image = noise(30, 40, 4)
    image[..., 3] = 255
    assert (default()(image)[..., 3] == 255).all()


def test_memory_running_out_halves_the_tiles(monkeypatch):
    upscaler, image = upscaling.Upscaler(generator(), back_projection="full"), noise(150, 150, 3)
    whole, run = upscaler(image).astype(int), GeneratorRunner._run

    def cramped(self, lr):
        if max(lr.shape[1:3]) > 80:
            raise MemoryError("OOM")
        return run(self, lr)

    monkeypatch.setattr(GeneratorRunner, "_run", cramped)
    assert np.abs(upscaler(image) - whole).max() <= 1


def test_one_graph_for_all_sizes():
    upscaler = upscaling.Upscaler(generator())
    for side in (5, 30, 31):
        upscaler(noise(side, 2 * side, 3))
    assert upscaler.precision in ("float32", "bfloat16")
    graph = upscaler._default.runner._graph
    assert graph.trunk.experimental_get_tracing_count() == 1
    assert graph.tail.experimental_get_tracing_count() == 1


def test_bfloat16_is_close():
    image = noise(30, 40, 3)
    full, half = (upscaling.Upscaler(generator(), precision=p)(image) for p in ("float32", "bfloat16"))
    assert np.abs(full.astype(float) - half).mean() < 2
    assert generators.pick_precision("auto") in (tf.float32, tf.bfloat16)


@pytest.fixture
def with_bfloat16(monkeypatch):
    """A processor that has it, as far as `auto` can tell."""
    pick = generators.pick_precision
    monkeypatch.setattr(generators, "pick_precision", lambda p: tf.bfloat16 if p == "auto" else pick(p))


def test_sixteen_bits_are_computed_in_float32(with_bfloat16):
    image = noise(30, 40, 3).astype(np.uint16) * 257
    auto, full, half = (upscaling.Upscaler("srresnet", precision=p)(image) for p in ("auto", "float32", "bfloat16"))
    np.testing.assert_array_equal(auto, full)
    assert (auto != half).any()


@pytest.mark.skipif(generators.pick_precision() != tf.bfloat16, reason="no bfloat16 here, so that it is never taken")
@pytest.mark.parametrize("name", ["srresnet", "srgan", "srgan-real"])
def test_bfloat16_is_near_with_what_is_shipped(name):
    generator = load(name)
    network, exact = (GeneratorRunner(generator, precision=p) for p in ("bfloat16", "float32"))
    assert generators.near(network, exact)


@pytest.mark.matrix
def test_auto_leaves_bfloat16_where_it_is_far_off(with_bfloat16):
    sound, steep = load("srresnet"), load("srresnet")
    arrays = steep.get_arrays()
    arrays["tail/conv/kernel"] *= 4  # four times the contrast, and four times the rounding
    steep.set_arrays(arrays)
    image = noise(20, 30, 3)
    for generator, wanted in ((sound, "bfloat16"), (steep, "float32")):
        auto, expected = (upscaling.Upscaler(generator, precision=p)(image) for p in ("auto", wanted))
        np.testing.assert_array_equal(auto, expected)


@pytest.mark.matrix
def test_a_file_of_a_shipped_name_is_not_trusted(with_bfloat16, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    steep = load("srresnet")
    arrays = steep.get_arrays()
    arrays["tail/conv/kernel"] *= 4
    steep.set_arrays(arrays)
    (tmp_path / "srgan").mkdir()
    save_weights(steep, tmp_path / "srgan" / "generator.npz")
    assert upscaling.Upscaler("srgan").precision == "float32"


@pytest.mark.matrix
def test_noise_is_not_projected_back_by_default(tmp_path):
    """Trained on degraded LR, by name or by path: colours as in LR, noise no more than the network leaves."""
    noisy = np.clip(np.random.default_rng(0).normal((200, 60, 40), 12, (64, 64, 3)), 0, 255).astype(np.uint8)
    save_weights(load("srgan-real"), tmp_path / "mine.npz")
    for model, crop in (("srgan-real", 64), (tmp_path / "mine.npz", 48)):
        noisy = noisy[:crop, :crop]
        made = upscaling.Upscaler(model, precision="float32")(noisy).astype(float)
        own, full = (
            upscaling.Upscaler(model, precision="float32", back_projection=kind)(noisy).astype(float)
            for kind in ("none", "full")
        )
        assert np.abs(made.mean((0, 1)) - noisy.mean((0, 1))).max() < 0.5
        assert made.std((0, 1)).max() < own.std((0, 1)).max() + 0.5 < full.std((0, 1)).max() - 2
    with pytest.raises(ValueError, match="back_projection"):
        upscaling.Upscaler("srgan", back_projection=True)


def test_wrong_arguments_are_named():
    for options in ({"scale": 5}, {"scale": -1}, {"precision": "int4"}):
        with pytest.raises(ValueError, match=next(iter(options))):
            upscaling.Upscaler(generator(), **options)
    for image in (np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4, 5), np.uint8)):
        with pytest.raises(ValueError, match="image must"):
            default()(image)


def test_upscale_writes_a_file(tmp_path):
    images.write(tmp_path / "a.png", noise(10, 12, 3))
    made = pictures.upscale(tmp_path / "a.png", generator(), output=tmp_path / "b.png")
    np.testing.assert_array_equal(images.read(made), pictures.upscale(tmp_path / "a.png", generator()))
