"""Check rows: inputs of a model, and its outputs for them, computed at export.

Every version folder has a file of them: Arrow IPC, one FixedSizeList column for each tensor. The
backend runs them when it loads a model, and rejects the model if its outputs differ.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.inside import file_inside
from plumbline.base.json_fields import shown
from plumbline.base.json_text import parse_json
from plumbline.columns.arrow_numbers import arrow_numbers
from plumbline.columns.wire import Tensors
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.errors import RepositoryError

Run = Callable[[Tensors], Tensors]
"""A served model's computation: tensors of B rows in, tensors of B rows out."""

CHECK_FILE = "check.arrow"
CHECK_ROWS = 64

_ROLE = b"role"
_SHAPE = b"shape"
"""The shape of one row, as JSON."""
_ELEMENTS = (pa.float32(), pa.int64(), pa.large_binary())
_TOLERANCES = {"fp32": 1e-5, "bf16": 2e-2, "int8": 1e-6}


@dataclass(frozen=True, slots=True)
class CheckRows:
    """B rows of a model's input tensors, and of its output tensors."""

    inputs: Tensors
    outputs: Tensors

    @property
    def rows(self) -> int:
        return len(next(iter(self.outputs.values())))

    def write(self, file: Path) -> None:
        columns = [
            (name, tensor, role)
            for role, tensors in ((b"input", self.inputs), (b"output", self.outputs))
            for name, tensor in tensors.items()
        ]
        arrays = [_to_arrow(tensor) for _, tensor, _ in columns]
        fields = [
            pa.field(name, array.type, metadata={_ROLE: role, _SHAPE: json.dumps(tensor.shape[1:])})
            for (name, tensor, role), array in zip(columns, arrays, strict=True)
        ]
        table = pa.table(arrays, schema=pa.schema(fields))
        with pa.OSFile(str(file), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
            writer.write_table(table)

    @classmethod
    def read(cls, file: Path) -> CheckRows:
        """Raises RepositoryError if the file was not written by `write`."""
        file_inside(file.parent, file.name, RepositoryError)
        roles: dict[bytes, Tensors] = {b"input": {}, b"output": {}}
        try:
            with pa.OSFile(str(file), "rb") as stream:
                table = pa.ipc.open_file(stream).read_all()
                table.validate(full=True)
                _require_uncompressed(table, stream.size())
            for field in table.schema:
                shape = parse_json(field.metadata[_SHAPE])
                roles[field.metadata[_ROLE]][field.name] = _from_arrow(table[field.name], shape)
        except (OSError, pa.ArrowException, KeyError, TypeError, ValueError, MemoryError) as error:
            raise RepositoryError.wrong_content(str(file), "check rows", str(error)) from None
        if not (roles[b"input"] and roles[b"output"] and len(table)):
            raise RepositoryError.wrong_content(str(file), "check rows", "there are none")
        return cls(roles[b"input"], roles[b"output"])

    def verify(self, run: Run, precision: str | None, where: str) -> None:
        """Run a model on the inputs, and compare its outputs with those of the export.

        Raises
        ------
        RepositoryError
            Ids differ, floats differ by more than 10⁻⁶, or probabilities by more than 10⁻⁵ in fp32
            and 0.02 in bf16: another processor, or a GPU, may sum in another order.
        """
        self.compare(run(self.inputs), precision, where)

    def compare(self, got: Mapping[str, NDArray[Any]], precision: str | None, where: str) -> None:
        """As `verify`, but for outputs that are already computed."""
        for name, wanted in self.outputs.items():
            tolerance = _TOLERANCES[precision or "fp32"] if name == CLICK_PROBABILITY else 1e-6
            reason = _difference(wanted, got.get(name), tolerance)
            if reason:
                raise RepositoryError(
                    f"{where}: the model's outputs differ from those at export: {name} {reason}. "
                    "Serve it with the Plumbline that exported it, or export it again."
                )


def _difference(wanted: NDArray[Any], got: NDArray[Any] | None, tolerance: float) -> str:
    """A description of the first difference; empty if there is none."""
    if got is None:
        return "is missing"
    if got.shape != wanted.shape:
        return f"is of shape {got.shape}, wanted {wanted.shape}"
    if wanted.dtype.kind == "f":
        same = np.isclose(got, wanted, rtol=1e-6, atol=tolerance, equal_nan=True)
    else:
        same = np.asarray(got == wanted)
    if same.all():
        return ""
    row, column, *inside = np.argwhere(~same)[0].tolist()
    index = (row, column, *inside)
    return f"in row {row}, column {column} is {got[index]}, wanted {wanted[index]}"


def _to_arrow(tensor: NDArray[Any]) -> Any:
    width = int(np.prod(tensor.shape[1:]))
    if tensor.dtype == np.object_:
        values = pa.array(tensor.ravel().tolist(), pa.large_binary())
    else:
        values = pa.array(np.ascontiguousarray(tensor).ravel())
    return pa.FixedSizeListArray.from_arrays(values, width)


def _require_uncompressed(table: Any, file_bytes: int) -> None:
    if table.get_total_buffer_size() > file_bytes:
        raise ValueError("its buffers are compressed")


def _from_arrow(column: Any, shape: Any) -> NDArray[Any]:
    if not pa.types.is_fixed_size_list(column.type) or column.type.value_type not in _ELEMENTS:
        raise ValueError(f"a column is of {column.type}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError(f"the shape of a row is {shown(shape)}")
    values = column.combine_chunks().flatten()
    if values.null_count:
        raise ValueError("a value is null")
    if pa.types.is_large_binary(values.type):
        flat = np.array(values.to_pylist(), np.object_)
    else:
        flat = arrow_numbers(values).copy()
    return flat.reshape(len(column), *shape)
