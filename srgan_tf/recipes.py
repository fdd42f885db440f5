"""Training recipes: the one home of hyper-parameters. Any field can be set by the flag of its name in train.py.

Imports nothing heavy, so that `train.py --help` need not wait for TensorFlow.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """How a generator is trained. The defaults are the paper's (sections 2.1 and 3.2) where it names one."""

    name: str
    steps: int  # optimizer steps, batches
    # The generator
    scale: int = 4  # SR size over LR size: 2, 3, 4 or 8
    blocks: int = 16  # residual blocks, the paper's B
    channels: int = 64  # feature maps
    batch_norm: bool = True
    zero_init: bool = False  # start each residual block as the identity
    interpolate_init: bool = False  # start as an interpolation, so that no step is spent on learning one
    # The data
    batch: int = 16  # crops a step
    crop: int = 96  # side of the HR crops in pixels
    seed: int = 0  # of the initial weights and of the crops
    # The loss
    pixel: str = "mse"  # mse (equation 4) or mae
    # The optimizer of G
    optimizer: str = "Adam"  # any of keras.optimizers
    learning_rate: float = 1e-4
    beta_2: float = 0.999  # the paper names beta_1 = 0.9 only
    warmup: int = 0  # steps from 0 to the learning rate
    schedule: str = "constant"  # constant, or cosine: down to 0 at the last step
    clip_norm: float = 0.0  # bound on the norm of all gradients together; 0: none
    ema_decay: float = 0.0  # of the moving average of the weights, which is what is kept; 0: no average
    freeze_batch_norm: bool = False  # train with batch norm's running statistics, as inference uses them
    # The machine
    precision: str = "float32"  # float32, mixed_bfloat16 or mixed_float16
    jit_compile: bool = False  # XLA; slower than oneDNN on the CPUs measured
    validate_every: int = 1000  # steps between validations

    def __post_init__(self):
        if self.crop % self.scale:
            raise ValueError(f"crop must be a multiple of scale, but {self.crop} is not one of {self.scale}")
        for field in ("steps", "batch", "crop", "validate_every"):
            if getattr(self, field) < 1:
                raise ValueError(f"{field} must be at least 1, not {getattr(self, field)}")
        choices = {
            "scale": (2, 3, 4, 8),
            "pixel": ("mse", "mae"),
            "schedule": ("constant", "cosine"),
            "precision": ("float32", "mixed_bfloat16", "mixed_float16"),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                options = ", ".join(map(str, allowed))
                raise ValueError(f"{field} must be one of {options}, not {getattr(self, field)!r}")


DEMO = Recipe(
    # A quarter of an hour's taste in five minutes: a twelfth of the paper's generator on the bundled photographs.
    name="demo",
    steps=900,
    blocks=4,
    channels=32,
    batch_norm=False,
    interpolate_init=True,
    batch=16,
    crop=64,
    pixel="mae",
    learning_rate=1e-3,
    warmup=50,
    schedule="cosine",
    clip_norm=1.0,
    ema_decay=0.99,
    validate_every=300,
)

SRRESNET = Recipe(
    # The paper's SRResNet-MSE: 32.05 dB on Set5, 28.49 on Set14, after 10^6 steps on 350,000 ImageNet pictures.
    name="srresnet",
    steps=1_000_000,
)

SRRESNET_PHOTOS = Recipe(
    # One cycle of the runs that make the shipped `srresnet`: each starts from the weights of the last (`--init`)
    # on photographs of free licence. Batch norm stays as the first 12,000 steps left it: trained steadily, without
    # the 1-2 dB swings of batch statistics, and a little faster.
    name="srresnet-photos",
    steps=4500,
    pixel="mae",
    learning_rate=3e-4,
    warmup=100,
    schedule="cosine",
    clip_norm=2.0,
    ema_decay=0.999,
    freeze_batch_norm=True,
    validate_every=500,
)

RECIPES = {recipe.name: recipe for recipe in (DEMO, SRRESNET, SRRESNET_PHOTOS)}
