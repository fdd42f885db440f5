"""TFRecord shards: pictures in few large files, for large data sets and slow file systems.

A record is a `tf.train.Example` of the original file (`image/encoded`, `image/filename`). An index beside each shard,
`….json`, lets `Photos` read any record: shards give the same batches as a folder, resumable and shared alike.
"""

import json
import os
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import tensorflow as tf

from srgan_tf.errors import ImageError
from srgan_tf.io import files, images


@dataclass(frozen=True)
class Record:
    """One picture in a shard; reads like a `Path`."""

    shard: Path
    name: str  # its path under the folder that the shards were made of
    offset: int  # of the record in the shard, bytes
    size: int  # of the record, bytes
    crc: int  # zlib.crc32 of the record
    height: int  # pixels
    width: int

    def read_bytes(self) -> bytes:
        """Return the original file.

        Raises:
            ImageError: the record is damaged.
        """
        with open(self.shard, "rb") as file:
            file.seek(self.offset)
            record = file.read(self.size)
        if zlib.crc32(record) != self.crc:
            raise ImageError(f"{self}: damaged (checksum differs); remove that shard and make it again")
        return tf.train.Example.FromString(record).features.feature["image/encoded"].bytes_list.value[0]

    @property
    def stem(self) -> str:
        return Path(self.name).stem

    @property
    def parent(self) -> Path:
        return Path(self.name).parent

    def __str__(self) -> str:
        return f"{self.shard}:{self.name}"


def find(source) -> list[Record]:
    """Return the records of the shards that a folder, a pattern, a file or a list of these names; [] without shards.

    Raises:
        ImageError: an index is missing or damaged, or its shard has another size.
    """
    if isinstance(source, (list, tuple)):
        return [record for item in source for record in find(item)]
    path = Path(source)
    found = sorted(path.glob("*.tfrecord")) if path.is_dir() else files.find(source)
    return [record for shard in found if shard.suffix == ".tfrecord" for record in read_index(shard)]


def read_index(shard: Path) -> list[Record]:
    """Return the records of a shard."""
    try:
        index = json.loads(shard.with_suffix(".json").read_text(encoding="utf-8"))
        if index["bytes"] != shard.stat().st_size:
            raise ValueError(f"{shard.stat().st_size} bytes instead of {index['bytes']}")
        return [Record(shard, **record) for record in index["records"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ImageError(
            f"{shard}: incomplete ({files.reason(error)}); make the shards again by the same command"
        ) from None


def make(source, output, megabytes: float = 256, smallest: int = 96, workers: int | None = None) -> list[Record]:
    """Write the pictures of `source` into shards in `output`; a rerun resumes.

    Args:
        source: as for `files.find`.
        output: a folder.
        megabytes: size of a shard, rounded up to the next picture.
        smallest: least height and width of a picture in pixels.
        workers: shards written in parallel; one per processor by default.

    Returns:
        All records. Each was read back by TensorFlow, which verifies its own checksums. Unusable files are listed on
        stderr and left out.

    Raises:
        ImageError: no usable picture, or `output` has shards of other pictures.
    """
    output, paths = Path(output), files.find(source)
    root = Path(os.path.commonpath([path.parent for path in paths])) if paths else Path()
    groups, room = [], 0
    for path in paths:
        if room <= 0:
            groups.append([])
            room = megabytes * 1e6
        groups[-1].append(path)
        room -= path.stat().st_size
    output.mkdir(parents=True, exist_ok=True)
    names = [output / f"shard-{i:05d}-of-{len(groups):05d}.tfrecord" for i in range(len(groups))]
    if others := sorted(set(output.glob("*.tfrecord")) - set(names)):
        raise ImageError(f"{others[0]}: made of other pictures or settings; give another --output")
    list(tf.data.TFRecordDataset([]))  # a process in which two threads start TensorFlow at once may crash
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        made = list(pool.map(lambda shard, group: _make_shard(shard, group, root, smallest), names, groups))
    records = [record for shard in made for record in shard]
    if not records:
        raise ImageError(f"{source}: no usable picture among {len(paths)} (at least {smallest}x{smallest} px)")
    return records


def _make_shard(shard: Path, paths: list[Path], root: Path, smallest: int) -> list[Record]:
    listing = [[str(path.relative_to(root)), path.stat().st_size] for path in paths]
    index = shard.with_suffix(".json")
    if index.exists():
        records = read_index(shard)
        if json.loads(index.read_text(encoding="utf-8"))["files"] != listing:
            raise ImageError(f"{shard}: made of other pictures; give another --output")
        return records
    records, offset = [], 0
    with files.write_aside(shard) as temporary:
        with tf.io.TFRecordWriter(temporary) as writer:
            for path in paths:
                try:
                    height, width = images.load(path).pixels.shape[:2]
                    if min(height, width) < smallest:
                        raise ImageError(f"{path}: {width}x{height} px is smaller than {smallest}")
                except ImageError as error:
                    print(f"left out: {error}", file=sys.stderr)
                    continue
                name = str(path.relative_to(root))
                record = _example(path.read_bytes(), name)
                writer.write(record)
                # TFRecord framing: 8 bytes of length, 4 of its checksum, the record, 4 of its checksum.
                records.append(Record(shard, name, offset + 12, len(record), zlib.crc32(record), height, width))
                offset += len(record) + 16
        written = [zlib.crc32(record) for record in tf.data.TFRecordDataset(temporary).as_numpy_iterator()]
        if written != [record.crc for record in records]:
            raise ImageError(f"{shard}: reads back differently than written; check the disk")
    rows = [{k: v for k, v in asdict(record).items() if k != "shard"} for record in records]
    with files.write_aside(index) as temporary:  # last: a shard with an index is complete
        Path(temporary).write_text(json.dumps({"bytes": offset, "files": listing, "records": rows}), encoding="utf-8")
    return records


def _example(data: bytes, name: str) -> bytes:
    def feature(value: bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    features = {"image/encoded": feature(data), "image/filename": feature(name.encode())}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString(deterministic=True)
