"""Compare a running server with an export.

The server's models answer the check rows. For a server with a GPU this is the first such check:
ONNX Runtime does not run them when it loads a model.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.dlrm.onnx.padded_ids import PADDING
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.check_rows import CHECK_FILE, CheckRows
from plumbline.serving.contract.interface import DLRM_MODEL, ENSEMBLE_MODEL, FEATURES_MODEL
from plumbline.serving.contract.versions import CONFIG_FILE, VERSIONS, newest, versions_from_json
from plumbline.serving.errors import RepositoryError
from plumbline.serving.repository.configs import parameters_in, read_config


def check_server(repository: Path, server: Transport, tolerance: float) -> dict[str, float]:
    """The largest difference of each model's floats from the export's, by model.

    Raises
    ------
    RepositoryError
        A float differs by more than the tolerance, ids differ, or the folder is not an exported
        repository.
    ServerError
        The server does not serve these versions.
    """
    models = sorted(config.parent.name for config in repository.glob(f"*/{CONFIG_FILE}"))
    if ENSEMBLE_MODEL not in models:
        raise RepositoryError.missing(str(repository / ENSEMBLE_MODEL / CONFIG_FILE))
    return {model: _check(repository, model, server, tolerance) for model in models}


def _check(repository: Path, model: str, server: Transport, tolerance: float) -> float:
    config = read_config(repository / model / CONFIG_FILE)
    number = newest(versions_from_json(model, parameters_in(config).get(VERSIONS, "")))
    check = _rows(repository, model, number)
    rows = min(check.rows, config.max_batch_size)
    answer = server.infer(model, {name: t[:rows] for name, t in check.inputs.items()}, number)
    largest = 0.0
    for name, tensor in check.outputs.items():
        got, wanted = answer.as_numpy(name), tensor[:rows]
        if wanted.dtype.kind != "f":
            if not _same_ids(got, wanted):
                raise RepositoryError(f"Model {model!r}: {name} differ from those of the export.")
            continue
        difference = float(np.abs(got - wanted).max(initial=0.0))
        if not difference <= tolerance:
            raise RepositoryError(
                f"Model {model!r}: {name} differ by {difference:g} from the export's, wanted at "
                f"most {tolerance:g}. Serve the verified export, on a processor of the same kind."
            )
        largest = max(largest, difference)
    return largest


def _same_ids(got: NDArray[Any], wanted: NDArray[Any]) -> bool:
    """The server may pad lists further than the export: it pads several requests together."""
    if wanted.ndim < 3 or got.ndim < 3:
        return np.array_equal(got, wanted)
    length = min(got.shape[2], wanted.shape[2])
    return np.array_equal(got[..., :length], wanted[..., :length]) and all(
        bool((ids[..., length:] == PADDING).all()) for ids in (got, wanted)
    )


def _rows(repository: Path, model: str, number: str) -> CheckRows:
    """The ensemble has no check rows; its inputs and outputs are those of its models."""

    def read(model: str) -> CheckRows:
        return CheckRows.read(repository / model / number / CHECK_FILE)

    if model != ENSEMBLE_MODEL:
        return read(model)
    return CheckRows(read(FEATURES_MODEL).inputs, read(DLRM_MODEL).outputs)
