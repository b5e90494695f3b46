"""HashBucket: the hash of a value, modulo a number."""

from __future__ import annotations

from typing import Any

from plumbline.columns.value_hash import modulo
from plumbline.features.operators.hash_bucket import HashBucket as HashBucketStep
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import (
    elements,
    frame_of,
    hashes,
    is_list,
    relisted,
    value_hashes,
)


def hash_bucket(at: OperatorCall) -> Source:
    num_buckets = at.operator.num_buckets
    if isinstance(num_buckets, dict):
        num_buckets = num_buckets.get(at.output)
    step = HashBucketStep(at.count("num_buckets", num_buckets))
    source = at.filled(at.output)
    if at.type_of(source).element == "number":
        at.require_exact(source)  # or the ids would depend on the last bit of a rounded number
    return at.step(step, source)


class HashBucket(ops.HashBucket):
    """Hashes the value alone, without the row's number, and each value of a list."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name in col_selector.names:
            count = self.num_buckets
            count = count[name] if isinstance(count, dict) else count
            column = df[name]
            if is_list(column):
                columns[name] = relisted(column, modulo(hashes(elements(column)), count))
            else:
                columns[name] = modulo(value_hashes(column), count)
        return frame_of(df, columns)


OPERATORS = (
    # NVTabular's schema has the number of buckets as the largest id.
    CompiledOperator(ops.HashBucket, hash_bucket, HashBucket, domain_excess=1),
)
