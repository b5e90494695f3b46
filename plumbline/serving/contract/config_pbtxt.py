"""Render Triton's `config.pbtxt`: protobuf text, byte for byte the same for the same model."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from plumbline.serving.contract.interface import Tensor

_PARAMETER = re.compile(
    r"^parameters \{\n  key: (?P<key>\".*\")\n  value \{\n    string_value: (?P<value>\".*\")\n",
    re.MULTILINE,
)

_TENSORRT = """\
optimization {
  execution_accelerators {
    gpu_execution_accelerator [
      {
        name: "tensorrt"
        parameters {
          key: "precision_mode"
          value: "FP32"
        }
      }
    ]
  }
}
"""


@dataclass(frozen=True, slots=True)
class EnsembleStep:
    """A version of a model in an ensemble; its tensors keep their names between the steps."""

    model: str
    version: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def python_config(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
    *,
    versions: Iterable[str],
    max_batch_size: int,
    instances: int,
    warmup_rows: Iterable[int],
    is_batched: bool = True,
) -> str:
    """A model of the Python backend, with a warm-up of zeros.

    Where it is batched, dynamically, the queue delay is Triton's default, 0: what waits is batched,
    and nothing waits for more. The queue has no policy, since the batcher sleeps through requests
    where it has one; the limits are the step's own (`plumbline.serving.backend.waiting`).
    """
    return (
        _head(name, ('backend: "python"',), max_batch_size, versions, inputs, outputs)
        + ("dynamic_batching {\n}\n" if is_batched else "")
        + _instances(instances, "KIND_CPU")
        + _repeated("model_warmup", [_warmup(rows, inputs) for rows in warmup_rows])
        + _parameters(parameters)
    )


def onnx_config(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
    *,
    versions: Iterable[str],
    max_batch_size: int,
    warmup_rows: Iterable[int],
    tensorrt: bool,
) -> str:
    """A model that ONNX Runtime runs on each GPU of the server, batched and warmed up like others.

    One instance a GPU: each has all weights in its memory. With `tensorrt` ONNX Runtime hands
    TensorRT what TensorRT can run, in float32. The queue has no policy here either, so what limits
    it is the step in front of it.
    """
    return (
        _head(name, ('backend: "onnxruntime"',), max_batch_size, versions, inputs, outputs)
        + "dynamic_batching {\n}\n"
        + _instances(1, "KIND_GPU")
        + (_TENSORRT if tensorrt else "")
        + _repeated("model_warmup", [_warmup(rows, inputs) for rows in warmup_rows])
        + _parameters(parameters)
    )


def ensemble_config(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    parameters: Mapping[str, str],
    *,
    versions: Iterable[str],
    max_batch_size: int,
    steps: Sequence[EnsembleStep],
) -> str:
    """An ensemble; batching and warm-up are its steps' own."""
    return (
        _head(name, ('platform: "ensemble"',), max_batch_size, versions, inputs, outputs)
        + "ensemble_scheduling {\n"
        + _indented(_repeated("step", [_step(step) for step in steps]))
        + "}\n"
        + _parameters(parameters)
    )


def read_parameters(text: str) -> dict[str, str]:
    """The parameters of a config that was rendered here; the server's image has no protobuf.

    >>> read_parameters(_parameters({"column": 'say "é"'}))
    {'column': 'say "é"'}
    """
    return {
        _unquoted(match["key"]): _unquoted(match["value"]) for match in _PARAMETER.finditer(text)
    }


def _head(
    name: str,
    kind: Sequence[str],
    max_batch_size: int,
    versions: Iterable[str],
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
) -> str:
    lines = (f"name: {_quoted(name)}", *kind, f"max_batch_size: {max_batch_size}")
    listed = ", ".join(sorted(versions, key=int))
    return (
        "".join(line + "\n" for line in lines)
        + _block("version_policy", _block("specific", f"versions: [ {listed} ]\n"))
        + _repeated("input", [_tensor(tensor) for tensor in inputs])
        + _repeated("output", [_tensor(tensor) for tensor in outputs])
    )


def _tensor(tensor: Tensor) -> str:
    open_size = ", -1" if tensor.padded else ""
    return (
        f"name: {_quoted(tensor.name)}\n"
        f"data_type: {tensor.data_type}\n"
        f"dims: [ {len(tensor.columns)}{open_size} ]\n"
    )


def _instances(count: int, kind: str) -> str:
    return f"instance_group [\n  {{\n    count: {count}\n    kind: {kind}\n  }}\n]\n"


def _warmup(rows: int, inputs: Sequence[Tensor]) -> str:
    return f"name: {_quoted(f'batch of {rows}')}\nbatch_size: {rows}\n" + "".join(
        _block(
            "inputs",
            f"key: {_quoted(tensor.name)}\n"
            + _block(
                "value",
                f"data_type: {tensor.data_type}\n"
                f"dims: [ {len(tensor.columns)}{', 1' if tensor.padded else ''} ]\n"
                "zero_data: true\n",
            ),
        )
        for tensor in inputs
    )


def _step(step: EnsembleStep) -> str:
    return f"model_name: {_quoted(step.model)}\nmodel_version: {step.version}\n" + "".join(
        _block(field, f"key: {_quoted(tensor.name)}\nvalue: {_quoted(tensor.name)}\n")
        for field, tensors in (("input_map", step.inputs), ("output_map", step.outputs))
        for tensor in tensors
    )


def _parameters(parameters: Mapping[str, str]) -> str:
    return "".join(
        _block(
            "parameters",
            f"key: {_quoted(key)}\n" + _block("value", f"string_value: {_quoted(value)}\n"),
        )
        for key, value in sorted(parameters.items())
    )


def _repeated(field: str, messages: Sequence[str]) -> str:
    entries = ",\n".join(f"  {{\n{_indented(_indented(message))}  }}" for message in messages)
    return f"{field} [\n{entries}\n]\n"


def _block(field: str, message: str) -> str:
    return f"{field} {{\n{_indented(message)}}}\n"


def _indented(text: str) -> str:
    return "".join(f"  {line}" for line in text.splitlines(keepends=True))


def _quoted(text: str) -> str:
    r"""A protobuf string literal: the UTF-8 bytes, what is not printable ASCII in octal.

    >>> _quoted('say "é"')
    '"say \\"\\303\\251\\""'
    """
    return '"' + "".join(_escaped(byte) for byte in text.encode()) + '"'


def _escaped(byte: int) -> str:
    character = chr(byte)
    if character in '"\\':
        return "\\" + character
    return character if 0x20 <= byte < 0x7F else f"\\{byte:03o}"


def _unquoted(literal: str) -> str:
    """The way back from `_quoted`."""
    return bytes(ast.literal_eval(f"b{literal}")).decode()
