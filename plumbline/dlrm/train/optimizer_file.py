"""The name of the optimizers' state, for those that need no torch."""

OPTIMIZER_FILE = "optimizer/state.safetensors"
"""Beside the model: what a training on a later day goes on from, besides the weights."""
