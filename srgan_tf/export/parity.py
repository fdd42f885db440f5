"""Compare exported models with their generator, and time them."""

import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan_tf.data.bundled import photographs
from srgan_tf.data.levels import to_lr_range, to_uint8
from srgan_tf.errors import ExportError
from srgan_tf.inference.litert import interpreter
from srgan_tf.inference.loading import load_runner

SIDE = 64  # LR px per side of the photographs, for models of any size
LARGEST = 1  # of 255: tolerance of float models
LEAST = {"dynamic": 38, "engine": 38, "int8": 34}  # dB: least PSNR to the generator of the other kinds


@dataclass(frozen=True)
class Row:
    """An artifact beside its generator: bytes, signatures, difference of 255, PSNR in dB, seconds per picture."""

    file: str
    size: int
    signatures: str
    largest: int
    psnr: float
    seconds: float | None = None

    def cells(self) -> list[str]:
        seconds = f"{self.seconds:.3f}" if self.seconds else "–"
        size = f"{self.size / 1e6:.2f} MB"
        return [self.file, size, self.signatures, str(self.largest), f"{self.psnr:.1f}", seconds]


HEADINGS = ["File", "Size", "Signatures", "Largest of 255", "PSNR (dB)", "s/picture"]


class Reference:
    """The generator's own SR of the bundled photographs, [13, side, side, 3], as the reference of exported models.

    Args:
        folders: of photographs; fewer take less time.
    """

    def __init__(self, generator, folders: tuple[str, ...] = ("train", "heldout")):
        self._generator, self._scale, self._folders, self._known = generator, generator.scale, folders, {}

    def pictures(self, side: int) -> tuple[np.ndarray, np.ndarray]:
        """Return LR and SR of this LR size; smaller photographs are mirrored at their border."""
        if side not in self._known:
            found = [one for folder in self._folders for one in photographs(folder, self._scale, side)]
            found = [np.pad(p[0], [(0, side - p.shape[1]), (0, side - p.shape[2]), (0, 0)], "symmetric") for p in found]
            lr = np.floor(np.stack(found) * 255 + 0.5).astype(np.uint8)
            self._known[side] = lr, np.concatenate([self._run(one[None]) for one in lr])
        return self._known[side]

    def _run(self, lr: np.ndarray) -> np.ndarray:
        """Run Keras itself, not one of the forms that are checked."""
        return to_uint8(self._generator(to_lr_range(lr), training=False)).numpy()

    def check(self, path, kind: str, name: str, side: int = SIDE) -> Row:
        """Run a SavedModel folder, .tflite or .npz file on the photographs.

        Args:
            kind: "saved_model", "npz", or one of `choices.LITE_KINDS`.
            name: for the table and errors.
            side: LR pixels per side.

        Raises:
            ExportError: it differs by more than LARGEST (float kinds), or PSNR is below LEAST.
        """
        lr, wanted = self.pictures(side)
        answers, signatures = _by_saved_model(path, lr) if kind == "saved_model" else _by_runner(path, kind, lr)
        apart = np.abs(np.stack(answers).astype(int) - wanted)
        largest, error = int(apart.max()), max(float((one**2).mean()) for one in apart)
        psnr = 10 * np.log10(255**2 / error) if error else np.inf
        problem = ""
        if kind in LEAST and psnr < LEAST[kind]:
            problem = f"only {psnr:.1f} dB from its generator; {kind} needs {LEAST[kind]}; export another kind"
        if kind not in LEAST and largest > LARGEST:
            problem = f"up to {largest} of 255 from its generator, more than {LARGEST}; please report this"
        if problem:
            raise ExportError(f"{name}: {problem}")
        return Row(name, _bytes(Path(path)), signatures, largest, psnr)


def _by_saved_model(path, lr: np.ndarray):
    """Return uint8 SR by each signature."""
    model = tf.saved_model.load(str(path))
    run = model.signatures
    byte, unit, decoded = [], [], []
    for two in (lr[i : i + 2] for i in range(0, len(lr), 2)):  # a model may take few pixels per request
        byte += list(run["serving_default"](lr=tf.constant(two))["sr"].numpy())
        unit += list(run["float"](lr=tf.constant(two / np.float32(255)))["sr"].numpy())
        made = run["encoded"](lr_bytes=tf.stack([tf.io.encode_png(one) for one in two]))["sr_bytes"]
        decoded += [tf.io.decode_png(file).numpy() for file in made]
    return [np.stack(byte), np.floor(np.stack(unit) * 255 + 0.5), np.stack(decoded)], ", ".join(run)


def _by_runner(path, kind: str, lr: np.ndarray):
    if kind == "npz":
        return [load_runner(path)(lr)], "–"
    signatures = interpreter(Path(path).read_bytes()).get_signature_list()
    return [load_runner(path, "auto")(lr)], ", ".join(signatures)


def _bytes(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(_bytes(child) for child in path.iterdir())


def timed(rows: list[Row], paths: list, side: int, rounds: int = 5) -> list[Row]:
    """Add to rows the least seconds for one picture of side x side LR pixels.

    The models take turns, so that other load affects all alike.
    """
    lr, best = np.random.default_rng(0).integers(0, 256, (1, side, side, 3), np.uint8), [np.inf] * len(paths)
    models = [load_runner(path, "auto") for path in paths]  # as they were checked
    for _ in range(rounds + 1):  # the first round allocates buffers
        for i, model in enumerate(models):
            started = time.perf_counter()
            model(lr)
            best[i] = min(best[i], time.perf_counter() - started)
    return [replace(row, seconds=seconds) for row, seconds in zip(rows, best)]
