from pathlib import Path

from setuptools import find_packages, setup

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
    install_requires=[
        "tensorflow>=2.15,<2.22",
        "numpy>=1.26",
        "pillow>=10.3",
        "absl-py>=2.0",
        "pyvips>=3.0",
        "pyvips-binary>=8.16",
        "matplotlib>=3.8",
        "tensorboard>=2.15",
        "flatbuffers>=23.5",
        "tqdm>=4.66",
    ],
    extras_require={
        "gpu": ["tensorflow[and-cuda]>=2.15,<2.22"],
        "addons": ["tensorflow>=2.15,<2.16", "tensorflow-addons==0.23.0"],
        "serving": ["tensorflow-serving-api>=2.15,<2.22"],  # each release asks for at least its own TensorFlow
        "test": ["pytest>=8", "scikit-image>=0.22", "tifffile>=2023.7", "imagecodecs>=2024.1"],
    },
    entry_points={"console_scripts": ["srgan-tf = srgan_tf.cli.main:command"]},
)
