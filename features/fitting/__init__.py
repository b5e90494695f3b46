"""Fitting: an unfitted plan and the training split's rows, portion by portion, to fitted steps."""
