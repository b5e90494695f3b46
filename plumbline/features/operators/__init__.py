"""The operators of a feature plan, a file each: all that the plan knows of one.

A file holds the fitted step and its form in plan.json, the unfitted step, what that accumulates in
the fit, the values that both take and give, the files that the fitted step owns, and its native
form. Every module of this folder is imported here, so an operator is known once its file is there.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
