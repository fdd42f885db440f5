import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from srgan_tf.data import shards
from srgan_tf.data.batches import Photos, patches, random_crop
from srgan_tf.data.bicubic import downscale
from srgan_tf.errors import ImageError


def save(path, array, **options):
    path.parent.mkdir(exist_ok=True, parents=True)
    Image.fromarray(array).save(path, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    """Five pictures in which red tells the picture, green the row and blue the column."""
    for n in range(5):
        y, x = np.mgrid[:60, :70]
        save(tmp_path / "hr" / f"{n}.png", np.stack([np.full_like(x, n), y, x], axis=-1).astype(np.uint8))
    return tmp_path / "hr"


def take(dataset, n):
    return [tf.nest.map_structure(lambda t: t.numpy(), batch) for batch in dataset.take(n)]


def test_batches_are_reproducible_and_resumable(folder):
    photos = Photos(folder, 32)
    first = take(patches(photos, batch=4, crop=32, seed=3), 6)
    again = take(patches(folder, batch=4, crop=32, seed=3, start=4), 2)
    np.testing.assert_array_equal(first[4:], again)
    assert not np.array_equal(first[0], take(patches(photos, batch=4, crop=32, seed=4), 1)[0])
    assert first[0].shape == (4, 32, 32, 3) and first[0].dtype == np.uint8


def test_crops_are_of_different_pictures_and_turned_only_by_quarters(folder):
    seen = set()
    for batch in take(patches(folder, batch=5, crop=32), 40):
        assert sorted(crop[0, 0, 0] for crop in batch) == [0, 1, 2, 3, 4]
        for crop in batch.astype(int):
            down, right = crop[1, 0] - crop[0, 0], crop[0, 1] - crop[0, 0]
            assert sorted([abs(down[1]), abs(down[2])]) == [0, 1] and abs(down + right)[1:].tolist() == [1, 1]
            seen.add((tuple(down), tuple(right)))
    assert len(seen) == 8  # all flips and turns occur


def test_workers_share_the_batch_without_overlap(folder):
    whole = take(patches(folder, batch=6, crop=32), 2)
    shares = [take(patches(folder, batch=6, crop=32, workers=3, worker=w), 2) for w in range(3)]
    for step in range(2):
        for w in range(3):
            np.testing.assert_array_equal(whole[step][w::3], shares[w][step])


def test_dataset_of_pictures_gives_the_same_kind_of_batches(folder):
    photos = Photos(folder, 32)
    arrays = [photos.read(pair)[0] for pair in photos.pairs]
    source = tf.data.Dataset.from_generator(
        lambda: iter(arrays), output_signature=tf.TensorSpec((None, None, 3), tf.uint8)
    )
    batches = take(patches(source, batch=4, crop=32), 3)
    resumed = take(patches(source, batch=4, crop=32, start=1, workers=2, worker=1), 2)
    for whole, share in zip(batches[1:], resumed):
        np.testing.assert_array_equal(whole[1::2], share)


def test_pairs_are_cut_at_the_same_place(folder, tmp_path):
    for path in folder.glob("*.png"):
        save(tmp_path / "lr" / f"{path.stem}x2.png", downscale(np.asarray(Image.open(path))[None], 2).numpy()[0])
    for lr, hr in take(patches(Photos(folder, 32, tmp_path / "lr", scale=2), batch=4, crop=32), 4):
        assert lr.shape == (4, 16, 16, 3)
        np.testing.assert_allclose(downscale(hr, 2).numpy()[:, 3:-3, 3:-3], lr[:, 3:-3, 3:-3], atol=1)


@pytest.mark.parametrize("form", ["files", "shards"])
def test_frames_of_one_name_are_paired_by_folder(tmp_path, form):
    for n, scene in enumerate(("000", "001", "002")):
        save(tmp_path / "hr" / scene / "00.png", np.full((64, 64, 3), 50 * n, np.uint8))
        save(tmp_path / "lr" / scene / "00.png", np.full((16, 16, 3), 50 * n, np.uint8))
    sources = [tmp_path / kind for kind in ("hr", "lr")]
    if form == "shards":
        for source in sources:
            shards.make(source, source.with_suffix(".shards"), smallest=16)
        sources = [source.with_suffix(".shards") for source in sources]
    photos = Photos(sources[0], 64, sources[1])
    assert [[array.mean() for array in photos.read(pair)] for pair in photos.pairs] == [[0, 0], [50, 50], [100, 100]]


def test_every_kind_of_picture_is_read(tmp_path):
    rgb = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    grey = rgb[..., 0]
    save(tmp_path / "a.png", rgb)
    save(tmp_path / "b.png", grey)
    save(tmp_path / "c.bmp", rgb)
    save(tmp_path / "d.webp", rgb, lossless=True)
    Image.fromarray(rgb).convert("P").save(tmp_path / "e.png")
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "f.jpg")
    save(tmp_path / "g.png", (grey.astype(np.uint16) * 257))
    save(tmp_path / "sub" / "h.JPG", rgb)
    photos = Photos(tmp_path, 32)
    read = {pair[0].name: photos.read(pair)[0] for pair in photos.pairs}
    assert len(read) == 8 and not photos.unusable
    assert all(array.shape == (40, 50, 3) and array.dtype == np.uint8 for array in read.values())
    for name, expected in (("a.png", rgb), ("c.bmp", rgb), ("d.webp", rgb)):
        np.testing.assert_array_equal(read[name], expected)
    for name in ("b.png", "g.png"):
        np.testing.assert_array_equal(read[name], np.repeat(grey[..., None], 3, -1))


def test_unusable_files_are_named_and_left_out(folder, tmp_path):
    whole = (folder / "0.png").read_bytes()
    (folder / "cut.png").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("not a picture")
    save(folder / "tiny.png", np.zeros((8, 90, 3), np.uint8))
    photos = Photos(folder, 32)
    assert {name.rsplit("/")[-1] for name in photos.unusable} == {"cut.png", "text.png", "tiny.png"}
    assert "90x8" in photos.unusable[str(folder / "tiny.png")] and len(photos.pairs) == 5
    with pytest.raises(ImageError, match=r"no usable picture among 8.*200x200"):
        Photos(folder, 200)
    with pytest.raises(ImageError, match="no such"):
        Photos(tmp_path / "absent")


def test_without_room_pictures_are_decoded_each_time_to_the_same_batches(folder):
    small, large = Photos(folder, 32, cache_bytes=0), Photos(folder, 32)
    assert not small._cache and len(large._cache) == 5
    np.testing.assert_array_equal(small.batch(7, 4, 32, 1)[0], large.batch(7, 4, 32, 1)[0])
    # A file whose header is fine and whose rest is not: another picture stands in.
    damaged = folder / "0.png"
    damaged.write_bytes(damaged.read_bytes()[:-60])
    photos = Photos(folder, 32, cache_bytes=0)
    for step in range(5):
        assert (photos.batch(step, 5, 32, 1)[0][:, 0, 0, 0] > 0).all()
    assert [name.rsplit("/")[-1] for name in photos.unusable] == ["0.png"]


def test_glob_and_list(folder):
    assert len(Photos(str(folder / "[0-2].png"), 32).pairs) == 3
    assert len(Photos([folder / "0.png", folder / "4.png"], 32).pairs) == 2


@pytest.mark.parametrize("option", [{"batch": 0}, {"crop": 0}, {"candidates": 0}, {"seed": -1}])
def test_numbers_that_make_no_batch_are_refused(folder, option):
    with pytest.raises(ValueError, match="must be at least 1, and seed at least 0"):
        patches(folder, **option)


def test_of_several_candidates_the_one_with_most_detail():
    """A picture that is flat but for one striped corner: with many candidates the crops lie there."""
    picture = np.full((200, 200, 3), 90, np.uint8)
    picture[:50, :50:2] = 160
    stripes = [
        sum(160 in random_crop((picture,), 40, seed, 4, candidates)[0] for seed in range(20)) for candidates in (1, 60)
    ]
    assert stripes[0] < 10 and stripes[1] >= 18
