"""Plumbline: raw click logs to a served click-through-rate model, as a library.

The names are imported when they are first used, since a server that needs none of them imports this
package too.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plumbline.notebook.fit import fit as fit
    from plumbline.notebook.model import Model as Model
    from plumbline.notebook.plan import Plan as Plan

_MODULES = {
    "fit": "plumbline.notebook.fit",
    "Model": "plumbline.notebook.model",
    "Plan": "plumbline.notebook.plan",
}

__all__ = ["Model", "Plan", "fit"]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'plumbline' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
