"""Compare a running server with an export.

The server's models answer the check rows. For a server with a GPU this is the first such check:
ONNX Runtime does not run them when it loads a model.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from plumbline.serving.check.served_model import answers_to, check_rows_of, exported_models_in
from plumbline.serving.client.transport import Transport
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.versions import CONFIG_FILE, newest_version
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
    models = exported_models_in(repository)
    return {model: _check(repository, model, server, tolerance) for model in models}


def _check(repository: Path, model: str, server: Transport, tolerance: float) -> float:
    """Ids are compared as in every check. For floats, the tolerance is the caller's."""
    config = read_config(repository / model / CONFIG_FILE)
    number = newest_version(model, parameters_in(config))
    check = check_rows_of(repository, model, number)
    got = answers_to(check, server, model, number, config.max_batch_size)
    is_float = {name: wanted.dtype.kind == "f" for name, wanted in check.outputs.items()}
    ids = {name: wanted for name, wanted in check.outputs.items() if not is_float[name]}
    CheckRows(check.inputs, ids).compare(got, None, f"Model {model!r}, version {number}")
    largest = 0.0
    for name in filter(is_float.get, check.outputs):
        difference = float(np.abs(got[name] - check.outputs[name]).max(initial=0.0))
        if not difference <= tolerance:
            raise RepositoryError(
                f"Model {model!r}: {name} differ by {difference:g} from the export's, wanted at "
                f"most {tolerance:g}. Serve the verified export, on a processor of the same kind."
            )
        largest = max(largest, difference)
    return largest
