"""What to write in place of what has no compiled form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from plumbline.features.steps.value_types import ValueType

REPLACE = "Replace it in the workflow."

NO_MISSING_LISTS = "A missing list is an empty list: select the columns that are no lists."

FUNCTION_FILTER = (
    "A plan cannot hold a Python function. Give the comparison by name, such as "
    "ops.Filter(Where('price', '>', 0)), imported from plumbline.expressions."
)

NO_LISTS = (
    "It takes lists: give the column the kind integer_list, hex_list or string_list in the "
    "configuration."
)

_ROWS = "A server answers every row by itself, and this operator"

OPERATORS: Mapping[str, str] = {
    "LambdaOp": (
        "A server cannot run Python code of a graph. Use named expressions of "
        "plumbline.expressions: DatePart and SecondsBetween for times, Sine, Cosine, Compare, "
        "IsIn, Add, Subtract, Multiply and Divide, Lowercase, Substring and SplitPart for text, "
        "Cast. Or compute the column before the ingest."
    ),
    "Groupby": (
        f"{_ROWS} combines rows. Put a row's sequence into the log as a list column: kind "
        "integer_list, hex_list or string_list."
    ),
    "DifferenceLag": f"{_ROWS} reads another row. Put the difference into the log as a column.",
}
"""By the operator's name in NVTabular."""

PARAMETERS: Mapping[str, str] = {
    "drop_folds": "Leave it out.",
    "boundaries": "Give finite boundaries in ascending order.",
}
"""By the parameter's name."""


def of_type(operator: str, actual: ValueType, wanted: Sequence[str]) -> str:
    """For an operator that takes values of the types `wanted`, and not of this one."""
    if (*wanted,) == ("time",) and not actual.is_list:
        return "It takes times: declare the column as {kind: time, feature: true}."
    if (*wanted,) == ("text",) and not actual.is_list and actual.element == "integer":
        return "It takes text: put Cast('text') before it, or give the column the kind string."
    if operator in ("FillMissing", "FillMedian") and actual.element in ("text", "ids"):
        return (
            "It fills numbers: Categorify gives missing values an id of their own, so leave it out."
        )
    if actual.element == "time":
        return (
            "It does not take times: make integers of them with DatePart, or numbers with "
            "SecondsBetween or SecondsSince."
        )
    if actual.is_list and actual.element != "ids":
        return "Of list columns, Categorify and HashBucket make ids."
    if actual.element == "number":
        return (
            "It takes keys: give the column the kind integer, hex or string in the configuration, "
            "or make ids of the numbers with Bucketize or HashBucket."
        )
    if actual.element == "text":
        return (
            "It takes numbers: give the column the kind continuous in the configuration if its "
            "text is of numbers, or make ids of it with Categorify or HashBucket."
        )
    if actual.element == "ids":
        return "It takes numbers, and ids have no order: apply it before them, or leave it out."
    return REPLACE


def of_output(actual: ValueType) -> str:
    """For an output that is neither a number nor ids."""
    if actual.element == "integer" and not actual.is_list:
        return (
            "Give the column the kind continuous in the configuration if it is a number, or make "
            "ids of it with Categorify or HashBucket."
        )
    if actual.element == "time":
        return (
            "Make an integer of it with DatePart, or a number with SecondsBetween or SecondsSince."
        )
    if actual.element == "number":
        return "A model takes lists of ids only: use HashBucket."
    return "Make ids of it with Categorify or HashBucket."
