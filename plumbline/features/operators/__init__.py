"""The operators of a feature plan, one file each.

A file holds the fitted step with its JSON and its types, the unfitted step with its accumulator,
the files of the fitted step, and its native operation. This module imports every file of the
folder, so adding a file registers an operator.
"""

from importlib import import_module
from pkgutil import iter_modules

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
