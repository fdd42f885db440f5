"""Generators as what their users deploy: SavedModels for TensorFlow Serving, .tflite files for devices."""
