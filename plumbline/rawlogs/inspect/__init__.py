"""Inspects log files and proposes a configuration for them."""
