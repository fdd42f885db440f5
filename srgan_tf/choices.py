"""Option values shared by the library and the CLI. Imports nothing."""

PRECISIONS = ("auto", "float32", "bfloat16")  # of inference
ENGINES = ("auto", "litert", "gpu", "tensorflow")  # of inference
TRAINING_PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")
BACK_PROJECTIONS = ("auto", "full", "colour", "none")
DEGRADATIONS = ("bicubic", "shrunk", "real")
SCALES = (2, 3, 4, 8)
PIXEL_LOSSES = ("mse", "mae")
FEATURE_LOSSES = (*PIXEL_LOSSES, "unit", "lpips")
ADVERSARIAL_LOSSES = ("standard", "relativistic")
UPDATES = ("alternating", "simultaneous")  # of D and G
FEATURE_NETWORKS = ("auto", "vgg19", "vgg16")
SCHEDULES = ("constant", "step", "cosine")
LPIPS_NETWORKS = ("alex", "vgg")
LITE_KINDS = ("float32", "float16", "dynamic", "engine", "int8")  # of .tflite files
EXPORT_KINDS = ("saved_model", *LITE_KINDS, "gpu", "web", "npz")  # for phones, browsers, and as weights of this package
STRATEGIES = ("auto", "one", "mirrored", "multiworker")
FORMATS = ("png", "jpg", "jpeg", "webp", "tif", "tiff", "avif", "gif")  # of output files
