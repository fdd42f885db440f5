"""Import other projects' models: files of PyTorch, safetensors and ncnn → our weights. Needs no PyTorch."""

from srgan_tf.choices import SCALES
from srgan_tf.errors import WeightsError
from srgan_tf.models.foreign import edsr, esrgan, msrresnet, span, srvgg, swiftsrgan
from srgan_tf.models.foreign.checkpoint import BROKEN, read_state, told

SUFFIXES = (".pth", ".pt", ".ckpt", ".tar", ".safetensors", ".param")
ARCHITECTURES = (esrgan, span, srvgg, edsr, msrresnet, swiftsrgan)
SUPPORTED = "ESRGAN, Real-ESRGAN, Compact, SPAN, EDSR, MSRResNet and Swift-SRGAN"
# Parts of names by which other architectures are known.
_OTHERS = {
    "a diffusion model": ("diffusion_model.", "first_stage_model.", "time_embed", "lora_", "down_blocks."),
    "a face restorer (GFPGAN)": ("stylegan_decoder", "toRGB", "style_mlp"),
    "a face restorer (CodeFormer or RestoreFormer)": ("quantize.embedding", "idx_pred_layer", "ft_layers."),
    "HAT": ("overlap_attn",),
    "DAT": ("spatial_interaction", "channel_interaction"),
    "SwinIR or Swin2SR": ("residual_group.blocks", "relative_position_bias_table", "cpb_mlp"),
    "RealPLKSR": ("feats.1.lk.",),
    "a discriminator": ("weight_orig", "classifier.", "linear1.", "conv9."),
}


def read(path) -> tuple[dict, dict]:
    """Return the configuration, as in an .npz file, and the arrays of a model by its file alone.

    Raises:
        WeightsError: the file is damaged, or its architecture is not supported; names what it looks like.
        MissingError: safetensors is not installed.
    """
    state = read_state(path)
    if not state:
        raise WeightsError(f"{path}: no weights that a super-resolution model could have")
    try:
        for architecture in ARCHITECTURES:
            if found := architecture.convert(state):
                size, arrays = found
                if size["scale"] not in (1, *SCALES):
                    raise ValueError(f"it enlarges {size['scale']} times; supported are 1 to 4 and 8")
                return {"generator": architecture.GENERATOR, "degradation": "unknown", **size}, arrays
    except BROKEN as error:
        raise WeightsError(f"{path}: {told(error)}") from None
    looks = [kind for kind, parts in _OTHERS.items() if any(part in name for name in state for part in parts)]
    unknown = f"unknown architecture (its first tensor is {next(iter(state))[:80]!r})"
    what = f"looks like {looks[0]}" if looks else unknown
    raise WeightsError(f"{path}: {what}; supported are models of {SUPPORTED}")
