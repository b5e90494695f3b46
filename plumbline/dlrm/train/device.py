"""What training needs of a device before it starts."""

from __future__ import annotations

from plumbline.base.device import Device
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.ops.cuda_products import sum_products_in_float32
from plumbline.dlrm.train.memory import keep_freed_memory


def prepare(device: Device, architecture: Architecture) -> None:
    """Set the process up to train on the device.

    Raises
    ------
    ConfigError
        The embedding tables do not fit on a GPU.
    """
    if device == "cpu":
        keep_freed_memory()
        return
    sum_products_in_float32()
    EmbeddingTables(architecture, architecture.embedding_rows).require_memory(device)
