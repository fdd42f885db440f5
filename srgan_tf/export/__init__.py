"""Export generators: SavedModels for TensorFlow Serving, .tflite files for devices and browsers."""
