from pathlib import Path

from setuptools import find_packages, setup

TRAIN = ["tensorflow>=2.15,<2.22", "matplotlib>=3.8", "tensorboard>=2.15"]

setup(
    name="srgan_tf",
    version="0.1.0",
    description="SRGAN and SRResNet (Ledig et al. 2017) on TensorFlow: train, evaluate, upscale, export",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["srgan_tf", "srgan_tf.*"]),
    package_data={"srgan_tf": ["py.typed", "photos/*.csv", "photos/*/*.jpg", "pretrained/*"]},
    # What upscaling by the shipped weights needs.
    install_requires=[
        "numpy>=1.26",
        "pillow>=10.3",
        "absl-py>=2.0",
        "pyvips>=3.0",
        "pyvips-binary>=8.16",
        "ai-edge-litert>=1.2",
        "flatbuffers>=23.5",
        "tqdm>=4.66",
    ],
    extras_require={
        # Training, evaluation, export, and upscaling by weights of your own.
        "train": TRAIN,
        "gpu": ["tensorflow[and-cuda]>=2.15,<2.22", *TRAIN],
        "addons": ["tensorflow-addons==0.23.0", "tensorflow>=2.15,<2.16", *TRAIN],
        "serving": ["tensorflow-serving-api>=2.15,<2.22"],  # each release asks for at least its own TensorFlow
        "dev": ["pytest>=8", "scikit-image>=0.22", "tifffile>=2023.7", "imagecodecs>=2024.1", "ruff>=0.14", "mypy"],
    },
    entry_points={"console_scripts": ["srgan-tf = srgan_tf.cli.main:command"]},
)
