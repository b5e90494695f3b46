"""The statistics that a fit keeps beside its plan, for a later run that goes on from them.

statistics/<output>.parquet   the state of an accumulator: counts of all values, rare ones too
statistics/statistics.json    format version; written last
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import PlanError
from plumbline.base.file_names import file_name
from plumbline.base.files import write_json
from plumbline.base.json_text import read_json
from plumbline.base.read_ahead import THREADS
from plumbline.columns.parquet import read_columns
from plumbline.features.steps.fit_step import Accumulator, KeptAccumulator

STATISTICS = "statistics"
"""The folder, beside the plan's."""
STATISTICS_FILE = "statistics.json"
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptStatistics:
    """A folder of statistics. `names` has the file's name of each accumulator, by its key."""

    folder: Path
    names: Mapping[Hashable, str]

    def write(self, accumulators: Mapping[Hashable, Accumulator]) -> None:
        """Write the states of those that can be kept."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._of_each(self._write, accumulators)

    def restore(self, accumulators: Mapping[Hashable, Accumulator]) -> None:
        """Add what was kept to accumulators that have read no rows; raises PlanError for a file
        that is missing or damaged."""
        self._of_each(self._restore, accumulators)

    def _of_each(
        self,
        work: Callable[[Path, KeptAccumulator], None],
        accumulators: Mapping[Hashable, Accumulator],
    ) -> None:
        with ThreadPoolExecutor(THREADS) as pool:
            tasks = [
                pool.submit(partial(work, self._file(key), accumulator))
                for key, accumulator in accumulators.items()
                if isinstance(accumulator, KeptAccumulator)
            ]
            for task in tasks:
                task.result()

    def _file(self, key: Hashable) -> Path:
        return self.folder / f"{file_name(self.names[key])}.parquet"

    @staticmethod
    def _write(file: Path, accumulator: KeptAccumulator) -> None:
        pq.write_table(accumulator.state(), file, compression="zstd", use_dictionary=False)

    @staticmethod
    def _restore(file: Path, accumulator: KeptAccumulator) -> None:
        try:
            with pq.ParquetFile(file) as parquet:
                accumulator.restore(read_columns(parquet))
        except FileNotFoundError:
            raise PlanError.missing(str(file)) from None
        except (pa.ArrowException, OSError, KeyError, ValueError) as error:
            reason = f"it cannot be read as statistics ({type(error).__name__}: {error})"
            raise PlanError.unreadable(str(file), reason) from None


def complete(folder: Path) -> None:
    """Mark the statistics as complete."""
    write_json(folder / STATISTICS_FILE, {"format_version": FORMAT_VERSION})


def require_complete(folder: Path) -> None:
    """Raises PlanError if the statistics are not complete, or of another format version."""
    file = folder / STATISTICS_FILE
    if not file.is_file():
        raise PlanError.missing(str(file))
    try:
        version = int(read_json(file)["format_version"])
    except (ValueError, KeyError, TypeError) as error:
        reason = f"no statistics ({type(error).__name__}: {error})"
        raise PlanError.unreadable(str(file), reason) from None
    if version != FORMAT_VERSION:
        reason = f"format version {version}, but this Plumbline reads {FORMAT_VERSION}"
        raise PlanError.unreadable(str(file), reason)
