"""Fits an unfitted plan on the training split, chunk by chunk."""
