"""A SavedModel folder as a runner."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan_tf.data.levels import to_levels, to_signed
from srgan_tf.errors import WeightsError
from srgan_tf.inference.model_info import ModelInfo
from srgan_tf.inference.probing import measure_context, probe_scale
from srgan_tf.inference.runners import Runner, first_line

# Other float signatures, such as those Keras exports, usually return [-1, 1].
_TAKES = {"serving_default": tf.uint8, "float": tf.float32}


class SavedModelRunner(Runner):
    """Run a SavedModel by its signature `serving_default` of uint8 RGB, or `float` of RGB in [0, 1], [n, h, w, 3].

    Raises:
        WeightsError: it does not load, or has neither signature; names the folder.
    """

    def __init__(self, folder):
        folder = Path(folder)
        try:
            self._model = tf.saved_model.load(str(folder))  # its functions die with it
        except Exception as error:  # TensorFlow raises a dozen kinds for a damaged folder
            raise WeightsError(f"{folder}: not a SavedModel that loads here ({first_line(error)})") from None
        for signature, dtype in _TAKES.items():
            self._function = self._model.signatures.get(signature)
            inputs = self._function.structured_input_signature[1] if self._function else {}
            if [(spec.dtype, spec.shape.rank) for spec in inputs.values()] == [(dtype, 4)]:
                break
        else:
            raise WeightsError(
                f"{folder}: needs a signature serving_default of uint8 or float of float32 pictures [n, h, w, 3]; "
                "export it with export.py"
            )
        (self._argument,), self._dtype = inputs, dtype
        self.is_uint8 = dtype == tf.uint8
        info = ModelInfo.from_saved_model(folder)
        if not info:
            scale = probe_scale(lambda lr: self._run(lr if self.is_uint8 else lr.astype(np.float32)), folder)
            info = ModelInfo(scale, measure_context(self, scale))
        super().__init__(info, folder.resolve().name)

    def _run(self, lr):
        sr = next(iter(self._function(**{self._argument: tf.constant(lr, self._dtype)}).values())).numpy()
        if self.is_uint8:
            return sr if sr.dtype == np.uint8 else to_levels(sr)
        return to_signed(sr) if sr.dtype != np.uint8 else to_signed(sr / np.float32(255))
