"""Upscale pictures of any size, kind and number.

srgan-tf upscale photo.jpg                            makes upscaled/photo_x4.jpg
srgan-tf upscale holiday "scans/*.tif" --output=big   folders and patterns; resumes where it stopped
srgan-tf upscale - < small.png > large.png            standard input to standard output

Exit codes: 0 all done, 1 some failed (the others are done), 2 wrong usage, 130 stopped by Ctrl-C.
"""

import functools

from absl import logging

from srgan_tf import choices
from srgan_tf.cli import Program, batch, fail, import_tensorflow
from srgan_tf.errors import ExportError, WeightsError, need_tensorflow


def define(flag) -> None:
    batch.define(flag)
    flag.string(
        "weights",
        "auto",
        "name (`models` lists them), training run, .npz, .keras, .pth, .safetensors, .tflite or SavedModel folder; "
        "two, separated by a comma, for clean and for degraded pictures: each picture gets what suits it, or a blend; "
        "auto: srgan,srgan-real",
    )
    about = "0 keeps all grain, 1 cleans most: share of the second weights (default: by picture)"
    flag.float("strength", None, about, lower_bound=0, upper_bound=1)
    flag.string("blend", None, "second weights of the same architecture, to interpolate with --weights")
    flag.float("blend_amount", 0.5, "share of the second weights, 0 to 1", lower_bound=0, upper_bound=1)
    about = (
        "inference engine; litert: on the CPU; gpu: LiteRT on the graphics processor; auto: the faster of these for "
        "shipped weights, else TensorFlow"
    )
    flag.enum("engine", "auto", choices.ENGINES, about)
    about = "auto: 8-bit weights or bfloat16 where fast and accurate; float32: exact"
    flag.enum("precision", "auto", choices.PRECISIONS, about)
    flag.string("codec", None, "of videos: h264, h265, av1, vp9 or an encoder of FFmpeg's (default: h264)")
    flag.integer("crf", None, "quality of videos, less is better (default: 18)", lower_bound=0, upper_bound=63)
    flag.float(
        "memory", 0.625, "memory for tiles in GiB, not counting the program itself", lower_bound=0, upper_bound=2**20
    )


def names_of(flags) -> tuple[str, ...]:
    """Return the models that --weights names: one, or two, for clean and for degraded pictures."""
    names = batch.one_or_two(flags, "weights")
    if len(names) == 1 and flags.strength is not None:
        fail("--strength goes with --weights=auto, or with two weights", 2)
    return names


def _orders(names) -> list:
    """Return each of a model or a pair first: [(a,)], or [(a, b), (b, a)]."""
    return [names, names[::-1]][: len(names)]


def prepare(names: tuple[str, ...], flags) -> str:
    """Import what the models need; return the engine."""
    from srgan_tf.inference import loading

    engines = {loading.choose_engine(name, flags.precision, flags.engine, *other) for name, *other in _orders(names)}
    if "tensorflow" in engines:
        import_tensorflow()
    return " and ".join(sorted(engines))


def convert_once(sources: list[str], flags) -> None:
    """Convert other projects' models for LiteRT, unless TensorFlow is to run them or they were converted before.

    Args:
        sources: a model, or a pair.

    Raises:
        WeightsError: one cannot be read, or the pair does not fit. MissingError: TensorFlow is not installed.
    """
    from srgan_tf import machine
    from srgan_tf.inference import converted
    from srgan_tf.models import published, weights

    for source in sources:
        weights.check_there(source)
    if flags.engine == "tensorflow" or flags.precision == "bfloat16" or (flags.engine == "auto" and machine.has_gpu()):
        return
    foreign = [source for source in sources if not weights.is_shipped(source) and converted.path_of(source)]
    left = [order for order in _orders(foreign) if not converted.find(*order)]
    if not left:
        return
    from srgan_tf.models import foreign as readers

    names = " and ".join(foreign)
    sizes = [readers.read(source)[0] for source in foreign if not published.is_published(source)]
    kinds = sizes if "blend" in flags and flags.blend else [size["scale"] for size in sizes]
    if any(kind != kinds[0] for kind in kinds):
        raise WeightsError(f"{names}: of different size ({kinds[0]} and {kinds[1]}); give two of one")
    need_tensorflow(f"{names}: converting {'it' if len(foreign) == 1 else 'them'}, once,")
    for source in filter(published.is_published, foreign):
        published.file(source)
    import_tensorflow()
    from srgan_tf.export.converted import convert

    logging.warning("converting %s for LiteRT, once; --engine=tensorflow runs without", names)
    try:
        for order in left:
            convert(*order)
    except ExportError as error:
        if flags.engine != "auto":
            raise
        logging.warning("continuing with TensorFlow: %s", error)


def model_of(names: tuple[str, ...]) -> str | tuple[str, ...]:
    """Return the model argument of `Upscaler`."""
    return names if len(names) == 2 else names[0]


def options(flags) -> dict:
    """Return the options of `Upscaler`."""
    own = {name: flags[name].value for name in ("precision", "engine", "strength")}
    return batch.options(flags) | own | {"memory": int(flags.memory * 2**30)}


def identity(names: tuple[str, ...], flags, engine: str) -> dict:
    """Return what results depend on: the weights, the engine, and the flags that only these programs have.

    Where "auto" takes the GPU, a batch may go on without it: the manifest's arithmetic tells the two apart.
    """
    from srgan_tf.inference import upscaling
    from srgan_tf.models import weights

    engine = "litert" if engine == "gpu" and flags.engine == "auto" else engine
    of_two = {"strength": flags.strength, "rule": upscaling.RULE} if len(names) == 2 else {}
    own = {name: flags[name].value for name in ("codec", "crf") if flags[name].present}
    own |= {"weights": ", ".join(map(weights.identity, names)), "engine": engine, "precision": flags.precision}
    return own | of_two


def main(flags, arguments: list[str]) -> None:
    batch.begin(flags, arguments)
    from srgan_tf import machine

    machine.keep_memory()
    from srgan_tf.inference import loading, upscaling
    from srgan_tf.models import weights

    names = names_of(flags)
    if not flags.blend and (flags["blend"].present or flags["blend_amount"].present):
        fail("--blend names no weights; give some, or omit --blend and --blend_amount", 2)
    if flags.blend and flags.weights == "auto":
        names = names[:1]
    if flags.blend and len(names) == 2:
        fail(f"--blend goes with one of --weights, not {flags.weights}; --strength blends two", 2)
    sources = [*names, *([flags.blend] if flags.blend else [])]
    convert_once(sources, flags)
    engine = prepare(sources, flags)
    model, made_by = model_of(names), identity(names, flags, engine)
    if flags.blend:
        made_by |= {"blend": weights.identity(flags.blend), "blend_amount": flags.blend_amount}
        model = loading.load_blend(*sources, flags.blend_amount, flags.precision, flags.engine)
    upscaler = upscaling.Upscaler(model, **options(flags))
    if flags.verbose:
        logging.info("%s, %s, %d px of context", engine, upscaler.precision, upscaler.context)

    @functools.cache
    def of_clips() -> tuple:
        """Return --fast by default: a clip has hundreds of pictures."""
        if flags.weights != "auto" or flags.fast or flags.blend:
            return upscaler, made_by
        return upscaling.Upscaler(fast=True, **options(flags)), identity(upscaling.FAST, flags, engine)

    def make_clip(job, progress) -> tuple[str, str]:
        from srgan_tf.cli import clips

        return clips.make(flags, job, progress, *of_clips())

    batch.run_all(flags, arguments, upscaler, made_by, clips=make_clip)


command = Program(main, define, __doc__)
