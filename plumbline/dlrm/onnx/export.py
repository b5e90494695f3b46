"""A trained DLRM as an ONNX model, for servers that run ONNX Runtime.

| tensor | dtype | shape | |
|---|---|---|---|
| `ids` | int64 | (B, F) | columns with one id a row, in plan order |
| `padded_ids` | int64 | (B, L, T) | list columns in plan order, -1 behind each list's ids |
| `dense` | float32 | (B, C) | continuous columns in plan order |
| `click_probability` | float32 | (B, 1) | |

- An input without columns is left out. T is any number from 1 on, and may differ between calls.
- The graph computes `plumbline.dlrm.model.dlrm` in float32; rows of bfloat16 are gathered, then
  converted.
- A row with an id out of range gets NaN: a graph cannot raise a clear error, and must not read
  another table's row instead.
- The weights stay in place: the graph names `model.safetensors` and each tensor's offset in it. So
  there is no 2 GB limit, and no table is stored twice.
"""

from __future__ import annotations

from pathlib import Path

from onnx import ModelProto, TensorProto, helper

from plumbline.base.files import write_bytes
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.model_card import CARD_FILE, WEIGHTS_FILE, read_model_card
from plumbline.dlrm.onnx.graph import GraphBuilder
from plumbline.dlrm.onnx.layers import DlrmLayers
from plumbline.dlrm.tensors.tensor_offsets import read_spans

IDS = "ids"
PADDED_IDS = "padded_ids"
DENSE = "dense"
CLICK_PROBABILITY = "click_probability"

OPSET = 17
IR_VERSION = 8
"""Supported since ONNX Runtime 1.12; Triton's release 24.10 has 1.19."""


def write_onnx(model_folder: Path, file: Path) -> None:
    """Write the graph of a model; the model's folder must be next to `file`.

    Equal models give equal bytes.

    Raises
    ------
    ModelError
        The model card is damaged, the weights do not fit it, or the model is in another folder. The
        hash of the weights is not checked here.
    """
    if model_folder.parent.resolve() != file.parent.resolve():
        wanted = f"the model in a folder of {file.parent}, where an ONNX graph may point to"
        raise ModelError(f"{file}: wanted {wanted}, got {model_folder}. Write it beside the model.")
    write_bytes(file, onnx_model(model_folder).SerializeToString(deterministic=True))


def onnx_model(model_folder: Path) -> ModelProto:
    """The ONNX model, to be stored next to the model's folder."""
    card = read_model_card(model_folder)
    if card.quantized_from is not None:
        raise ModelError.quantized(str(model_folder / CARD_FILE), "a trained model for ONNX")
    file = model_folder / WEIGHTS_FILE
    architecture = card.architecture
    graph = GraphBuilder(file, read_spans(file))
    ids = padded_ids = dense = None
    if architecture.single:
        ids = graph.input(IDS, TensorProto.INT64, ["B", len(architecture.single)])
    if architecture.bags:
        padded_ids = graph.input(PADDED_IDS, TensorProto.INT64, ["B", len(architecture.bags), "T"])
    if architecture.continuous:
        dense = graph.input(DENSE, TensorProto.FLOAT, ["B", len(architecture.continuous)])
    DlrmLayers(graph, architecture).probability(CLICK_PROBABILITY, ids, padded_ids, dense)
    output = helper.make_tensor_value_info(CLICK_PROBABILITY, TensorProto.FLOAT, ["B", 1])
    model = helper.make_model(
        graph.finished("dlrm", output),
        producer_name="plumbline",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
    )
    helper.set_model_props(model, {"model_hash": card.model_hash, "plan_hash": card.plan_hash})
    return model
