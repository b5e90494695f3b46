"""Fitting: an unfitted plan and the training split's rows, chunk by chunk, to fitted steps."""
