"""Teach a small vision network with a reprogrammed foundation model, and search for how to do it best."""

__version__ = "0.1.0"
