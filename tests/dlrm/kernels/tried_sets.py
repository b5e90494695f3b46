"""The instruction sets whose kernels the tests run."""

from __future__ import annotations

import platform

from plumbline.dlrm.ops.library import cpu_module

EMULATED = ["emulatedamx"] if platform.machine() == "x86_64" else []
"""By name only: the kernels of amx on emulated tiles, which every build of a checkout has."""


def tried_sets() -> list[str]:
    """Those of this processor, and the emulated one; none without the native module."""
    module = cpu_module()
    return [] if module is None else [*module.instruction_sets(), *EMULATED]
