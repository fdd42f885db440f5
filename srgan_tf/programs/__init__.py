"""The console commands: flags in, one library call, result out. Importing them does not import TensorFlow."""
