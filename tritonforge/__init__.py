"""Take a model to a proven deployment on NVIDIA Triton Inference Server."""

__version__ = "0.1.0"
