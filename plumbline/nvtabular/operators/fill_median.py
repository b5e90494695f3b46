"""FillMedian: replace missing numbers by the median of the training split."""

from __future__ import annotations

import math
import shutil
from functools import partial
from typing import Any

from plumbline.base.errors import DataError
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing as FillMissingStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import delayed, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.medians import median_of, sorted_numbers
from plumbline.nvtabular.patching.reductions import partitions_of
from plumbline.nvtabular.patching.spilled import spill_folder


def fill_median(at: OperatorCall) -> Source:
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    column = at.output

    def read(target: Target) -> Step:
        median = float(at.learned_value(at.operator.medians, column))
        if not math.isfinite(median):
            raise DataError(
                f"Column {column!r}: its median in the training split is {median}. Use FillMissing "
                "with a number, or leave the column out."
            )
        return FillMissingStep(median)

    return at.fit_step(FitMedian(), read, at.numbers(column))


class FillMedian(ops.FillMedian):
    """The exact median; NVTabular takes an approximate quantile of the partitions' quantiles."""

    out_path = "./"
    """A folder that all workers see, as of NVTabular's operators that learn tables."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        folder = spill_folder(self.out_path)
        folder.mkdir(parents=True, exist_ok=True)
        names = list(col_selector.names)
        sort = partial(sorted_numbers, names, folder)
        parts = [delayed(sort)(part) for part in partitions_of(ddf)]
        return delayed({name: delayed(median_of)(parts, name) for name in names})

    def fit_finalize(self, medians: dict[str, float | None]) -> None:
        for name, median in medians.items():
            self.medians[name] = math.nan if median is None else median
        shutil.rmtree(spill_folder(self.out_path), ignore_errors=True)

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, self.medians.__getitem__)


OPERATORS = (CompiledOperator(ops.FillMedian, fill_median, FillMedian),)
