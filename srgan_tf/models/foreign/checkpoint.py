"""Find the weights in a file of PyTorch, safetensors or ncnn: name → tensor."""

import pickle
import struct
import zipfile
from pathlib import Path

from srgan_tf.errors import WeightsError, need
from srgan_tf.models.foreign import ncnn, pytorch
from srgan_tf.models.foreign.pytorch import Tensor

LARGEST = 1 << 30  # bytes: the largest ESRGAN has 67 MB, with its optimizer's state three times as many
BROKEN = (  # raised by damaged files
    *(pickle.UnpicklingError, zipfile.BadZipFile, struct.error, EOFError, ValueError, TypeError, KeyError, IndexError),
    *(AttributeError, ArithmeticError, MemoryError, RecursionError, NotImplementedError),
)
# Where training programs put the weights, the best first.
_KEYS = ("params_ema", "params-ema", "params", "state_dict", "model_state_dict", "model", "net", "generator")
_PREFIXES = ("module.", "netG.", "net_g.")
_SAFE_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16", "I64": "<i8", "I32": "<i4", "U8": "u1"}


def read_state(path) -> dict[str, Tensor]:
    """Return the weights of a .pth, .pt, .ckpt, .safetensors or .param file, whose content tells the format.

    Raises:
        WeightsError: the file is damaged, too large, or of another kind. MissingError: safetensors is not installed.
    """
    path = Path(path)
    content = _content(path)
    if not content:
        raise WeightsError(f"{path}: the file is empty; download it again")
    safe, there = content[8:9] == b"{", pytorch.begins(content) or content.startswith(ncnn.START)
    if safe:
        need("safetensors", str(path), "safetensors")
    elif not there:
        problem = f"begins with {content[:8]!r}, unlike PyTorch's and safetensors' files"
        raise WeightsError(f"{path}: {problem}; download or save it again")
    try:
        if content.startswith(ncnn.START):
            return ncnn.read(content.decode(), _content(path.with_suffix(".bin")))
        state = _weights(_read_safetensors(content) if safe else pytorch.read(content))
        if sum(tensor.nbytes for tensor in state.values()) > len(content):  # views that overlap, or repeat one element
            raise ValueError("its tensors are larger than the file")
        return state
    except WeightsError:
        raise
    except (zipfile.BadZipFile, UnicodeDecodeError, EOFError):
        raise WeightsError(f"{path}: cut off or damaged; download it again") from None
    except BROKEN as error:
        raise WeightsError(f"{path}: cannot be read as weights ({told(error)})") from None


def told(error: Exception) -> str:
    """Return what one of `BROKEN` says."""
    return f"it lacks {error}"[:200] if isinstance(error, KeyError) else str(error)[:200]


def _content(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > LARGEST:
            raise WeightsError(f"{path}: {size / 1e9:.1f} GB, too large for an upscaler; is it a diffusion model?")
        return path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path}: cannot read it ({error.strerror})") from None


def _read_safetensors(content: bytes) -> dict[str, Tensor]:
    import safetensors

    try:
        entries = safetensors.deserialize(content)
    except safetensors.SafetensorError as error:
        raise ValueError(error) from None
    if unknown := {entry["dtype"] for _, entry in entries} - set(_SAFE_DTYPES):
        raise ValueError(f"it holds numbers of type {unknown.pop()}")
    return {name: Tensor.contiguous(_SAFE_DTYPES[one["dtype"]], one["shape"], one["data"]) for name, one in entries}


def _weights(found) -> dict[str, Tensor]:
    """Unwrap what a training program saved; drop common prefixes, and all that is no tensor."""
    for _ in range(3):  # levels
        if isinstance(found, dict):  # an empty one may stand beside the weights
            found = next((found[k] for k in _KEYS if isinstance(found.get(k), dict) and found[k]), found)
    entries = found if isinstance(found, dict) else {"": found}
    state = {k: v for k, v in entries.items() if type(k) is str and isinstance(v, Tensor) and ("." in k or v.shape)}
    if "" in state or not state:
        raise ValueError("no weights by name in it; save model.state_dict() in PyTorch")
    for prefix in _PREFIXES:  # a discriminator's names begin otherwise
        state = {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)} or state
    return state
