"""Looks at logs that nobody has described yet, and proposes a configuration for them."""
