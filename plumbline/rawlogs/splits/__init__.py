"""Splits: the rows for training, validation and test."""
