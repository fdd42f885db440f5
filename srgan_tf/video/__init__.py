"""Upscale videos, by PyAV, which brings FFmpeg: pip install 'srgan_tf[video]'."""
