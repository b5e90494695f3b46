"""Whether cuDF can be used."""

from __future__ import annotations

from plumbline.base.device import Missing

REMEDY = "Install RAPIDS with `make env GPU=1`"


def missing_cudf() -> Missing | None:
    """None if cuDF imports. The import takes seconds, and needs a device."""
    try:
        import cudf  # noqa: F401
    except ModuleNotFoundError as error:
        if error.name == "cudf":
            return Missing("cuDF is not installed", REMEDY)
        return Missing(f"cuDF does not import ({error})", REMEDY)
    # cuDF raises errors of its own where the driver or the device does not fit.
    except Exception as error:  # noqa: BLE001
        return Missing(f"cuDF does not import ({error})", REMEDY)
    return None
