"""The exported SavedModel as TensorFlow Serving meets it: in a bare process, through a session, with bad requests."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srgan_tf.data.bundled import PHOTOS
from srgan_tf.errors import ExportError
from srgan_tf.export import bundle, saved_model
from srgan_tf.inference.generators import GeneratorRunner
from srgan_tf.io import files, images
from srgan_tf.models import weights
from srgan_tf.models.srresnet import Generator

LIMIT = 20_000


@pytest.fixture(scope="module")
def generator():
    tf.keras.utils.set_random_seed(7)
    generator = Generator(blocks=1, channels=4, scale=3, output_activation="tanh")
    arrays = generator.get_arrays()
    for name in arrays:  # statistics that folding must not lose, slopes below and above 1
        if "moving" in name or name.endswith("alpha"):
            arrays[name] = np.random.default_rng(0).uniform(0.2, 2, arrays[name].shape)
    generator.set_arrays(arrays)
    return generator


@pytest.fixture(scope="module")
def exported(generator, tmp_path_factory):
    # Tiles small enough for a test's picture to need several of both kinds.
    saved_model.TILE, saved_model.PIECE, kept = 40, 16, (saved_model.TILE, saved_model.PIECE)
    try:
        return saved_model.write(generator, tmp_path_factory.mktemp("served") / "model", max_pixels=LIMIT)
    finally:
        saved_model.TILE, saved_model.PIECE = kept


@pytest.fixture(scope="module")
def served(exported):
    """A signature, and its inputs by name → its outputs by name, through a session as the server runs it."""
    graph = tf.Graph()
    with graph.as_default():
        session = tf.compat.v1.Session()
        meta = tf.compat.v1.saved_model.load(session, ["serve"], str(exported))

    def run(name, **inputs):
        signature = meta.signature_def[name]
        feed = {signature.inputs[key].name: value for key, value in inputs.items()}
        return session.run({key: info.name for key, info in signature.outputs.items()}, feed)

    return run


@pytest.fixture(scope="module")
def lr():
    return np.random.default_rng(0).integers(0, 256, (2, 47, 90, 3), np.uint8)


@pytest.fixture(scope="module")
def wanted(generator, lr):
    return GeneratorRunner(generator, "g")(lr)


def file(pixels, format="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, quality=95)
    return buffer.getvalue()


@pytest.mark.matrix
def test_clients_see_the_channels_of_the_result(exported):
    """As `saved_model_cli show` prints them."""
    signatures = tf.saved_model.load(str(exported)).signatures
    for name in ("serving_default", "float"):
        assert signatures[name].structured_outputs["sr"].shape.as_list() == [None, None, None, 3]


def test_all_signatures_give_what_the_generator_gives(served, lr, wanted):
    (byte,), (unit,) = served("serving_default", lr=lr).values(), served("float", lr=lr / 255).values()
    assert byte.dtype == np.uint8 and np.abs(byte.astype(int) - wanted).max() <= 1
    assert unit.dtype == np.float32 and np.abs(unit * 255 - wanted).max() < 1.01
    made = served("encoded", lr_bytes=[file(lr[0]), file(lr[1, :20, :31])])["sr_bytes"]
    first, second = (np.asarray(Image.open(io.BytesIO(data))) for data in made)
    assert np.abs(first.astype(int) - wanted[0]).max() <= 1
    assert second.shape == (60, 93, 3)
    many = served("serving_default", lr=np.repeat(lr[:1, :8, :9], 40, 0))["sr"]  # more than a tile at once
    assert many.shape == (40, 24, 27, 3) and np.array_equal(many[0], many[39])


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_encoded_takes_other_kinds_of_png(served, mode):
    pixels = np.full((9, 10), 40000, np.uint16) if mode == "I;16" else np.full((9, 10), 90, np.uint8)
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    (picture if mode == "I;16" else picture.convert(mode)).save(buffer, "PNG")
    (made,) = served("encoded", lr_bytes=[buffer.getvalue()])["sr_bytes"]
    assert Image.open(io.BytesIO(made)).size == (30, 27)


def test_encoded_decodes_jpeg_as_others_do(generator, served):
    photo = images.read(next((PHOTOS / "heldout").iterdir()))[:40, :50]
    data = file(photo, "JPEG")
    (made,) = served("encoded", lr_bytes=[data])["sr_bytes"]
    near = GeneratorRunner(generator, "g")(np.asarray(Image.open(io.BytesIO(data)))[None])[0]
    assert np.abs(np.asarray(Image.open(io.BytesIO(made))).astype(int) - near).mean() < 1


GOOD = file(np.zeros((20, 20, 3), np.uint8))
NOISE = file(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8))
JPEG = file(np.random.default_rng(0).integers(0, 256, (20, 20, 3), np.uint8), "JPEG")
HUGE = GOOD[:16] + b"\0\0\x40\0" * 2 + GOOD[24:]


@pytest.mark.parametrize(
    "batch, message",
    [
        ([GOOD, b""], r"lr_bytes\[1\]: broken, or neither PNG nor JPEG"),
        ([b"GIF89a" + GOOD], r"lr_bytes\[0\]: broken, or neither"),
        ([GOOD, GOOD, GOOD[:20]], r"lr_bytes\[2\]: broken, or neither"),
        ([JPEG, JPEG[:10]], r"lr_bytes\[1\]: broken, or neither"),
        ([GOOD, NOISE[:300]], r"lr_bytes\[1\]: broken, does not decode"),
        ([JPEG[:-300]], r"lr_bytes\[0\]: broken, does not decode"),
        ([GOOD, HUGE], r"lr_bytes\[1\]: 16384 x 16384 pixels; 1 to 20000"),
        ([GOOD[:16] + b"\xff" * 8 + GOOD[24:]], r"lr_bytes\[0\]: 4294967295 x 4294967295 pixels"),
        ([GOOD[:16] + b"\0" * 8 + GOOD[24:]], r"lr_bytes\[0\]: 0 x 0 pixels"),
        ([GOOD] * 51, r"lr_bytes: 20400 pixels in all"),
    ],
)
def test_bad_files_fail_with_their_place(served, batch, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        served("encoded", lr_bytes=batch)


@pytest.mark.parametrize("name, dtype", [("serving_default", np.uint8), ("float", np.float32)])
def test_too_large_and_empty_requests_are_refused(served, name, dtype):
    for shape in [(1, 201, 100, 3), (3, 100, 100, 3), (0, 10, 10, 3), (1, 0, 10, 3)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match="it must hold 1 to 20000"):
            served(name, lr=np.zeros(shape, dtype))


@pytest.mark.matrix
def test_a_bare_process_needs_neither_us_nor_keras(exported, lr, wanted, tmp_path):
    np.savez(tmp_path / "given.npz", lr=lr, wanted=wanted)
    code = """
import sys
sys.modules |= {"srgan_tf": None, "keras": None, "tf_keras": None}  # importing them fails
import numpy as np, tensorflow as tf
model = tf.saved_model.load(sys.argv[1])
given = np.load(sys.argv[2])
sr = model.signatures["serving_default"](lr=tf.constant(given["lr"]))["sr"].numpy()
assert np.abs(sr.astype(int) - given["wanted"]).max() <= 1
"""
    command = [sys.executable, "-c", code, str(exported), str(tmp_path / "given.npz")]
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run(command, check=True, cwd=tmp_path, env=environment, timeout=300)


def test_versions_appear_whole_and_in_turn(generator, exported, tmp_path):
    base = tmp_path / "model"
    for taken in ("1", "7", "not-a-version"):
        (base / taken).mkdir(parents=True)
    seen = []

    def check(folder):
        seen.append(folder)
        raise ExportError("worse than it may be")

    with pytest.raises(ExportError, match="worse"):
        saved_model.write(generator, base, check=check)
    assert seen[0].parent == base and not seen[0].name.isdecimal()  # which a polling server takes for no version
    assert sorted(path.name for path in base.iterdir()) == ["1", "7", "not-a-version"]
    assert os.stat(exported).st_mode & 0o055 == 0o055 & ~files.umask()
    (base / "8").write_text("taken, if not by a folder")
    with saved_model._next_version(base) as (folder, published):
        (folder / "saved_model.pb").write_bytes(b"x")
        (base / "9").mkdir()
        (base / "9" / "saved_model.pb").write_bytes(b"of another export in the meantime")
    assert published() == base / "10"


def test_what_cannot_be_written_is_said(generator, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ExportError, match="file/model: cannot write there"):
        saved_model.write(generator, tmp_path / "file" / "model")


def test_the_card_is_of_these_weights(tmp_path):
    """A run named as shipped weights once got their scores and licence; names were cut at a dot."""
    run = tmp_path / "compact"
    run.mkdir()
    weights.save_weights(Generator(blocks=1, channels=4), run / "generator.npz")
    for source, options, there in (
        (str(run), {"licence": "CC0", "origin": "my own"}, False),
        ("compact", {}, True),
        ("compact", {"licence": "MIT"}, False),
    ):
        bundle.export(source, tmp_path / "out", ["saved_model"], **options)
        newest = sorted((tmp_path / "out/saved_model").iterdir())[-1]
        card = (newest / "assets/model_card.md").read_text()
        assert ("31.17" in card) == there and options.get("licence", "Apache-2.0") in card
        assert options.get("origin", "") in card


@pytest.mark.parametrize("name", ["v1.5", "v1.6"])
def test_names_of_folders_are_kept_whole(tmp_path, name):
    (tmp_path / name).mkdir()
    weights.save_weights(Generator(blocks=1, channels=4), tmp_path / name / "generator.npz")
    bundle.export(str(tmp_path / name), tmp_path / "out", ["npz"])
    assert (tmp_path / f"out/{name}.npz").exists()


def test_a_small_limit_of_pixels_is_no_failing_export(tmp_path):
    bundle.export(Generator(blocks=1, channels=4), tmp_path, ["saved_model"], max_pixels=10_000)
    assert (tmp_path / "saved_model/1/saved_model.pb").exists()


def test_card_and_warmup_lie_with_the_model(exported, served):
    card = (exported / "assets" / "model_card.md").read_text()
    assert "x3" in card and "EXIF is not read" in card and f"{LIMIT:,} LR pixels" in card
    path = exported / "assets.extra" / "tf_serving_warmup_requests"
    records = [record.numpy() for record in tf.data.TFRecordDataset(str(path))]
    assert len(records) == 3
    log = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason="needs tensorflow-serving-api")
    for record in records:
        request = log.PredictionLog.FromString(record).predict_log.request
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        assert served(request.model_spec.signature_name, **inputs)


@pytest.mark.parametrize("value", [np.nan, 255.0, -1.0])
def test_floats_of_another_range_are_refused(served, value):
    lr = np.full((1, 8, 8, 3), 0.5, np.float32)
    lr[0, 3, 3, 1] = value
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"must be in \[0, 1\]"):
        served("float", lr=lr)
