"""Architectures (registry) and the trained models in `weights/`."""
