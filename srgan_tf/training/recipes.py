"""Training recipes: all hyper-parameters. Any field can be set by the train.py flag of its name.

Imports no TensorFlow, for `train.py --help`.
"""

import dataclasses
import re
from dataclasses import dataclass
from functools import partial
from typing import Any

from srgan_tf import choices
from srgan_tf.models import GENERATORS

GROUPS = ("The generator", "The data", "The generator's loss", "The adversary", "The optimizer", "The machine")


def _field(group: str, default: Any, help: str, options: tuple[str | int, ...] = ()) -> Any:
    """Define a hyper-parameter, which `train.py --help` lists in its group; values must be among its choices."""
    return dataclasses.field(default=default, metadata={"group": group, "help": help, "choices": options})


_generator, _data, _loss, _adversary, _optimizer, _machine = (partial(_field, group) for group in GROUPS)


_WEIGHTS = "content_weight pixel_weight tv_weight texture_weight phase_weight adversarial_weight"
# Of numbers: the fields, their range in words, and the test.
_BOUNDS = (
    ("steps batch crop candidates blocks channels d_filters validate_every", "at least 1", lambda x: x >= 1),
    ("learning_rate d_rate decay", "above 0", lambda x: x > 0),
    (f"seed warmup clip_norm {_WEIGHTS}", "at least 0", lambda x: x >= 0),
    ("everyday", "in [0, 1]", lambda x: 0 <= x <= 1),
    ("ema_decay beta_2 label_smoothing", "in [0, 1)", lambda x: 0 <= x < 1),
    ("rounding", "in [0, 16]", lambda x: 0 <= x <= 16),
)


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of a training. Defaults are the paper's (sections 2.1 and 3.2) where it gives them."""

    name: str
    steps: int = _optimizer(dataclasses.MISSING, "optimizer steps, batches")

    generator: str = _generator(
        "srresnet",
        "architecture: the paper's, a small one for phones (compact), one between the two (span), or ESRGAN's (rrdb)",
        tuple(GENERATORS),
    )
    scale: int = _generator(4, "SR size over LR size", choices.SCALES)
    blocks: int = _generator(16, "residual blocks, the paper's B")
    channels: int = _generator(64, "feature maps")
    batch_norm: bool = _generator(True, "batch norm in the residual blocks, as in the paper")
    zero_init: bool = _generator(False, "start each residual block as the identity")
    interpolate_init: bool = _generator(
        False, "start as an interpolation of the input, so that no step is spent on learning one"
    )

    batch: int = _data(16, "crops per step")
    crop: int = _data(96, "side of the HR crops in pixels")
    candidates: int = _data(1, "random positions per crop; the one with most detail is used")
    seed: int = _data(0, "seed of the initial weights and of the crops")
    degradation: str = _data(
        "bicubic",
        "from HR to LR; shrunk: by area and bilinear interpolation too; real: blur, noise and compression, as in "
        "Real-ESRGAN",
        choices.DEGRADATIONS,
    )
    everyday: float = _data(0.0, "share of batches degraded as by phones and messengers instead")

    pixel: str = _loss(
        "mse", "pixel loss: mean squared error (equation 4) or mean absolute error", choices.PIXEL_LOSSES
    )
    features: str = _loss(
        "", "layers φi,j of VGG for the content loss (equation 5), such as 5,4 or 2,2+4,3; empty: pixels"
    )
    before_activation: bool = _loss(False, "compare VGG's features before their activation, as ESRGAN does")
    feature_loss: str = _loss(
        "mse",
        "distance of features: mse (equation 5), ESRGAN's mae; unit: mse of features of unit length; lpips: the same, "
        "weighted by LPIPS' heads (VGG-16's layers 1,2 2,2 3,3 4,3 5,3)",
        choices.FEATURE_LOSSES,
    )
    feature_network: str = _loss(
        "auto",
        "vgg19 is downloaded, vgg16 is bundled; auto: vgg19 if available",
        choices.FEATURE_NETWORKS,
    )
    content_weight: float = _loss(1.0, "weight of the content loss (equation 4 or 5)")
    pixel_weight: float = _loss(0.0, "weight of the pixel loss beside a content loss on features")
    tv_weight: float = _loss(0.0, "weight of the total variation")
    texture_weight: float = _loss(0.0, "weight of the texture loss, local standard deviations of features")
    phase_weight: float = _loss(0.0, "weight of the phase loss, against checkerboards and colour shifts")

    discriminator: bool = _adversary(False, "train against a discriminator, D")
    adversarial: str = _adversary("standard", "GAN loss of G and D", choices.ADVERSARIAL_LOSSES)
    adversarial_weight: float = _adversary(1e-3, "weight of the adversarial loss in G's (equation 3)")
    updates: str = _adversary(
        "alternating",
        "alternating: D, then G against the new D; simultaneous: both by one pass of D, which is faster",
        choices.UPDATES,
    )
    label_smoothing: float = _adversary(0.0, "one-sided label smoothing: D's target for HR is 1 minus this")
    judges: str = _adversary("pixels", "input of the discriminator: pixels, or VGG features φi,j, such as 1,2+3,3")
    d_filters: int = _adversary(64, "filters of a discriminator on VGG features")
    d_rate: float = _adversary(1.0, "D's learning rate over G's (Heusel et al. 2017)")
    pooled: bool = _adversary(False, "pool D's features over space before its dense layers")
    spectral_norm: bool = _adversary(False, "spectral normalisation of D's weights")
    starts_from: str = _adversary("", "recipe trained first if no --init is given")

    optimizer: str = _optimizer("Adam", "of G and of D: any of keras.optimizers")
    learning_rate: float = _optimizer(1e-4, "peak learning rate of G, and of D times --d_rate")
    beta_2: float = _optimizer(0.999, "of Adam; the paper names beta_1 = 0.9 only")
    warmup: int = _optimizer(0, "steps from 0 to the learning rate")
    schedule: str = _optimizer(
        "constant", "step: times --decay at each of --milestones; cosine: down to 0 at the end", choices.SCHEDULES
    )
    milestones: str = _optimizer("0.5", "of --schedule=step: shares of the steps, separated by commas")
    decay: float = _optimizer(0.1, "of --schedule=step: what the rate is multiplied by at each milestone")
    clip_norm: float = _optimizer(0.0, "global gradient norm to clip at; 0: none")
    ema_decay: float = _optimizer(
        0.0, "decay of the exponential moving average of the weights, which is saved; 0: none"
    )
    freeze_batch_norm: bool = _optimizer(False, "train with batch norm's running statistics, as at inference")
    rounding: float = _optimizer(
        0.0,
        "quantisation-aware training: factor on LiteRT's step to which G's convolutions round what "
        "they read; 1 to 2 for exports in 8 bits; 0: none",
    )

    sync_batch_norm: bool = _machine(False, "synchronise batch norm statistics across devices")
    precision: str = _machine("float32", "data type of the computation", choices.TRAINING_PRECISIONS)
    jit_compile: bool = _machine(False, "compile the step with XLA; slower than oneDNN on the CPUs measured")
    validate_every: int = _machine(1000, "steps between validations")

    def __post_init__(self) -> None:
        for one in dataclasses.fields(self):
            value, allowed = getattr(self, one.name), one.metadata.get("choices")
            if allowed and value not in allowed:
                raise ValueError(f"{one.name} must be one of {', '.join(map(str, allowed))}, not {value!r}")
        if self.crop % self.scale:
            raise ValueError(f"crop must be a multiple of scale, but {self.crop} is not one of {self.scale}")
        for fields, wanted, is_met in _BOUNDS:
            for field in fields.split():
                if not is_met(getattr(self, field)):
                    raise ValueError(f"{field} must be {wanted}, not {getattr(self, field)}")
        for field, other in (("features", ""), ("judges", "pixels")):
            value = getattr(self, field)
            if value != other and not re.fullmatch(r"[1-5],[1-4](\+[1-5],[1-4])*", value):
                raise ValueError(f"{field} must be i,j of VGG's φi,j, such as 5,4 or 2,2+4,3, not {value!r}")
        if self.judges != "pixels" and not self.features:
            raise ValueError(f"judges={self.judges} goes with a content loss on features; give --features")
        if self.discriminator and self.judges == "pixels" and self.d_filters != 64:
            raise ValueError("d_filters is of a discriminator on VGG features; give --judges, such as --judges=3,3")
        if self.discriminator and self.judges == "pixels" and not self.pooled and self.crop % 16:
            raise ValueError(f"crop must be a multiple of 16 for the discriminator, not {self.crop}; or give --pooled")
        shares = self.milestones.split(",")
        if not all(re.fullmatch(r"0?\.\d+", share) for share in shares) or shares != sorted(shares, key=float):
            raise ValueError(
                f"milestones must be rising shares of the steps, such as 0.5,0.75, not {self.milestones!r}"
            )
        if self.jit_compile and (self.degradation != "bicubic" or self.everyday):
            raise ValueError("jit_compile needs --degradation=bicubic and --everyday=0: sizes vary otherwise")
        if self.warmup and self.schedule == "step":
            raise ValueError("warmup goes with --schedule=constant or cosine, not step")
        if self.zero_init and not self.batch_norm:
            raise ValueError("zero_init goes with --batch_norm: it initialises the last scale of each block")


_DEMO_G: dict[str, Any] = {
    "blocks": 4,
    "channels": 32,
    "batch_norm": False,
    "interpolate_init": True,
    "ema_decay": 0.99,
}
# GAN runs of hundreds or thousands of steps: content in layers of all depths, φ1,2 for the finest; a D on these, which
# need not learn features; the texture loss, since so short a run against D does not reach HR's texture; and the phase
# loss against artefacts that are everywhere.
_SHORT_GAN: dict[str, Any] = {
    "features": "1,2+2,2+3,3+4,3",
    "feature_network": "vgg16",
    "pixel_weight": 0.02,
    "texture_weight": 0.1,
    "phase_weight": 0.3,
    "discriminator": True,
    "judges": "1,2+2,2+3,3+4,3",
    "adversarial_weight": 5e-3,
}
_PAPER_GAN: dict[str, Any] = {"steps": 200_000, "schedule": "step", "discriminator": True, "starts_from": "srresnet"}
# Shipped weights without a GAN: mean absolute error on crops with detail, a rate falling to 0, averaged weights.
_PHOTOS: dict[str, Any] = {"candidates": 4, "pixel": "mae", "schedule": "cosine", "clip_norm": 2.0, "ema_decay": 0.999}
_FINE: dict[str, Any] = {
    "batch_norm": False,
    "candidates": 2,
    "pixel": "mae",
    "learning_rate": 2e-4,
    "schedule": "cosine",
}
_REAL: dict[str, Any] = {**_FINE, "crop": 192, "degradation": "real", "everyday": 0.9, "ema_decay": 0.998}
_ESRGAN: dict[str, Any] = {
    "generator": "rrdb",
    "blocks": 23,
    "batch_norm": False,
    "crop": 128,
    "schedule": "step",
    "decay": 0.5,
}

_ALL = (
    # Minutes of 2 cores: a small generator of the same class on the bundled photographs, first alone, …
    Recipe(
        name="demo-srresnet",
        steps=1500,
        crop=64,
        pixel="mae",
        learning_rate=1e-3,
        warmup=50,
        schedule="cosine",
        clip_norm=1.0,
        validate_every=200,
        **_DEMO_G,
    ),
    # … then against a discriminator, briefly: the beginning of what a GAN does.
    Recipe(
        name="demo",
        steps=200,
        batch=8,
        crop=64,
        pixel="mae",
        starts_from="demo-srresnet",
        validate_every=50,
        **_SHORT_GAN,
        **_DEMO_G,
    ),
    # The five columns of the paper's table 1, with its PSNR in dB on Set5 and Set14 after training on 350,000 ImageNet
    # pictures. None was run to its end here: costs are extrapolated from 10 or 12 steps on one core with AVX-512 in
    # float32 (VGG-16 features), SRGANs' after SRResNet-MSE's; unknown on a GPU.
    # SRResNet-MSE: 32.05, 28.49; 1.1 s a step, 12 days.
    Recipe(name="srresnet", steps=1_000_000),
    # SRResNet-VGG22: 30.51, 27.19; 1.7 s, 19 days.
    Recipe(name="srresnet-vgg22", steps=1_000_000, features="2,2", tv_weight=2e-8),
    # SRGAN-MSE: 30.64, 26.92; 3.2 s, 7 days.
    Recipe(name="srgan-mse", **_PAPER_GAN),
    # SRGAN-VGG22: 29.84, 26.44; 3.8 s, 9 days.
    Recipe(name="srgan-vgg22", features="2,2", **_PAPER_GAN),
    # SRGAN-VGG54, which the paper calls SRGAN: 29.40, 26.02; 4.9 s, 11 days.
    Recipe(name="srgan", features="5,4", **_PAPER_GAN),
    # The shipped `srresnet`, from the start on photographs of free licence: 31.39, 28.03 after 92 minutes of
    # processor time; its card has the trials, and what came after, to 31.64, 28.20. No batch norm: the file has the
    # paper's layers, which do nothing.
    Recipe(
        name="srresnet-photos",
        batch_norm=False,
        interpolate_init=True,
        steps=12_000,
        batch=8,
        learning_rate=5e-4,
        warmup=300,
        **_PHOTOS,
    ),
    # From the shipped `srresnet`, 27 minutes of a shared core with bfloat16: Set14 27.02, LPIPS .162. The shipped
    # `srgan`, 27.07, .157, had 4,300 steps more with fresh Ds: see its card. Batch: what 2 cores afford.
    Recipe(
        name="srgan-photos",
        steps=1500,
        batch=4,
        starts_from="srresnet-photos",
        ema_decay=0.99,
        validate_every=200,
        **_FINE,
        **_SHORT_GAN | {"adversarial_weight": 1e-2},
    ),
    # `compact`, for phones: 57,960 weights, from the start: 31.12, 27.84 after 20 minutes on a core. The shipped file
    # had 12,000 steps more: see its card.
    Recipe(
        name="compact",
        generator="compact",
        blocks=9,
        channels=24,
        steps=24_000,
        optimizer="Muon",
        learning_rate=3e-3,
        warmup=500,
        validate_every=2000,
        **_PHOTOS,
    ),
    # Between `compact` and the paper's, a fifth of `srresnet`'s time: 31.34, 28.03 after 40 minutes of two cores with
    # bfloat16. Nothing is shipped: docs/experiments/span.md.
    Recipe(
        name="span",
        generator="span",
        blocks=6,
        channels=48,
        steps=16_000,
        optimizer="Muon",
        learning_rate=2.5e-3,
        warmup=300,
        **_PHOTOS,
    ),
    # Photographs as they come: LR blurred, noisy and compressed (Wang et al. 2021). From the shipped `srresnet`, first
    # in pixels, so that D need not teach G to denoise; then against D, most batches degraded as phones and messengers
    # do. The shipped `srgan-real` took several runs of both: see its card.
    Recipe(name="srresnet-real", steps=6000, batch=4, starts_from="srresnet-photos", **_REAL),
    Recipe(
        name="srgan-real",
        steps=5000,
        batch=2,
        starts_from="srresnet-real",
        validate_every=500,
        **_REAL,
        **_SHORT_GAN
        | {"feature_loss": "unit", "content_weight": 0.2, "adversarial_weight": 6e-2, "d_filters": 128, "d_rate": 3.0}
        | {"texture_weight": 0.0, "phase_weight": 1.0},
    ),
    # ESRGAN at its paper's settings (Wang et al. 2018, section 4.1). Not run to their end here: of three steps on one
    # shared core, 24 s a step alone and 27 s against D (with VGG-16), which is 280 and 125 days.
    Recipe(
        name="esrgan-psnr",
        steps=1_000_000,
        pixel="mae",
        learning_rate=2e-4,
        milestones="0.2,0.4,0.6,0.8",
        **_ESRGAN,
    ),
    Recipe(
        name="esrgan",
        steps=400_000,
        pixel="mae",
        pixel_weight=1e-2,
        features="5,4",
        before_activation=True,
        feature_loss="mae",
        discriminator=True,
        adversarial="relativistic",
        adversarial_weight=5e-3,
        milestones="0.125,0.25,0.5,0.75",
        starts_from="esrgan-psnr",
        **_ESRGAN,
    ),
)
RECIPES = {recipe.name: recipe for recipe in _ALL}
