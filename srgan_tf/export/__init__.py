"""Generators as what their users deploy: SavedModels for TensorFlow Serving, .tflite files for devices."""


class ExportError(ValueError):
    """What cannot be exported, written, or is worse than it may be; the message names it and the mend."""
