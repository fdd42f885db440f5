"""Models as other exporters make them: plain functions of [0, 1], converted by TensorFlow's own converter."""

import tensorflow as tf


def unit_function(generator, size=(None, None, None)):
    @tf.function(input_signature=[tf.TensorSpec([*size, 3], tf.float32)])
    def upscale(lr):
        return tf.clip_by_value((generator(lr, training=False) + 1) / 2, 0, 1)

    return upscale


def lite_file(generator, path, size, samples=None):
    """A .tflite of the generator, quantised where `samples` are given; variables frozen first (FACTS 2)."""
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    frozen = convert_variables_to_constants_v2(unit_function(generator, size).get_concrete_function())
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    if samples is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([sample] for sample in samples)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.uint8
    path.write_bytes(converter.convert())
    return path
