"""Arrow columns converted to types that Polars can import, without loss."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from plumbline.columns.values import offsets_of


class TypeRefused(ValueError):
    """An Arrow type that no kind accepts."""


def simple(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert a column to a type that Polars can import; text that is not UTF-8 becomes binary.

    Raises
    ------
    TypeRefused
        No kind accepts the column's type.
    """
    chunks = [_simple(name, chunk) for chunk in column.chunks]
    if not chunks:
        return pa.chunked_array([_simple(name, pa.nulls(0, column.type))])
    types = {chunk.type for chunk in chunks}
    if len(types) > 1:  # one chunk of text was UTF-8, another was not
        chunks = [chunk.cast(pa.large_binary()) for chunk in chunks]
    return pa.chunked_array(chunks)


def _simple(name: str, array: Any) -> Any:
    type_ = array.type
    if isinstance(type_, pa.BaseExtensionType):
        return _simple(name, _storage(name, array))
    if pa.types.is_dictionary(type_):
        return _simple(name, _simple(name, array.dictionary).take(array.indices))
    if pa.types.is_run_end_encoded(type_):
        return _simple(name, pc.run_end_decode(array))
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _checked_text(array)
    if str(type_) == "string_view":
        return _checked_text(array.cast(pa.large_string()))
    if _is_binary(type_):
        return array.cast(pa.large_binary())
    if pa.types.is_decimal256(type_):
        return _decimals(array)
    if pa.types.is_float16(type_):
        return array.cast(pa.float32())
    if pa.types.is_timestamp(type_) and type_.tz is not None:
        return array.cast(pa.timestamp(type_.unit, "UTC"))
    if _is_list(type_):
        return _lists(name, array)
    if _is_plain(type_):
        return array
    raise TypeRefused(
        f"column {name!r} is {type_}, wanted text, numbers, booleans, dates or lists of them; "
        "write it as one of these"
    )


def _storage(name: str, array: Any) -> Any:
    type_name = getattr(array.type, "extension_name", "")
    if type_name == "arrow.json":
        return array.storage
    if type_name == "arrow.bool8":
        return pc.not_equal(array.storage, 0)
    if type_name == "arrow.uuid":
        return pa.array([None if v is None else str(v) for v in array.to_pylist()], pa.string())
    raise TypeRefused(
        f"column {name!r} is {array.type}, wanted text, numbers, booleans, dates or lists of them; "
        "write it as one of these"
    )


def _decimals(array: Any) -> Any:
    """Wide decimals as 128-bit decimals if they fit, otherwise as text."""
    try:
        return array.cast(pa.decimal128(38, array.type.scale))
    except pa.ArrowInvalid:
        return pc.replace_substring_regex(array.cast(pa.string()), r"\.0*$", "")


def _checked_text(array: Any) -> Any:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid:
        large = pa.types.is_large_string(array.type)
        return array.view(pa.large_binary() if large else pa.binary())
    return array


def _lists(name: str, array: Any) -> Any:
    """Convert to large lists; values hidden under a null list are left out."""
    lengths = pc.fill_null(pc.list_value_length(array), 0)
    # A cast of a list view to lists loses elements if there are nulls.
    is_view = str(array.type).split("<")[0] in ("list_view", "large_list_view")
    elements = _simple(name, array.flatten() if is_view else pc.list_flatten(array))
    offsets = offsets_of(lengths.cast(pa.int64()).to_numpy(zero_copy_only=False))
    if not array.null_count:
        return pa.LargeListArray.from_arrays(offsets, elements)
    return pa.LargeListArray.from_arrays(offsets, elements, mask=array.is_null())


def _is_binary(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_binary(type_)
        or pa.types.is_large_binary(type_)
        or pa.types.is_fixed_size_binary(type_)
        or str(type_) == "binary_view"
    )


def _is_list(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_list(type_)
        or pa.types.is_large_list(type_)
        or pa.types.is_fixed_size_list(type_)
        or str(type_).split("<")[0] in ("list_view", "large_list_view")
    )


def _is_plain(type_: pa.DataType) -> bool:
    return bool(
        pa.types.is_null(type_)
        or pa.types.is_boolean(type_)
        or pa.types.is_integer(type_)
        or pa.types.is_floating(type_)
        or pa.types.is_decimal(type_)
        or (pa.types.is_temporal(type_) and not pa.types.is_interval(type_))
    )
