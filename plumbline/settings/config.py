"""One data set, from raw log to served score."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from plumbline.base.errors import nearest
from plumbline.columns.kinds import CLICK, ELEMENT_KINDS, FEATURE_KINDS, FeatureKind
from plumbline.settings.append import Append
from plumbline.settings.base import Settings
from plumbline.settings.data import ClickModel, Label, Log, SideTable
from plumbline.settings.model import Model
from plumbline.settings.serving import Serving
from plumbline.settings.split import FileSplit, GroupSplit, ShareSplit, TimeSplit
from plumbline.settings.training import Training
from plumbline.settings.workflow import WorkflowSettings

GROUP_KINDS = (*(kind for kind in FEATURE_KINDS if kind not in ELEMENT_KINDS), "unused")
"""Kinds of the column of a split by group."""


class Config(Settings):
    """One data set, from raw log to served score."""

    name: str
    """Name of the configuration; without `--out`, a run goes into `runs/NAME`."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Seed of everything random: a split by hash, the first weights, the order of training rows."""
    click_model: ClickModel | None = None
    """Draws the logs from a known click model, so that `--data` is not needed."""
    log: Log
    """The table of clicks, one row an impression."""
    tables: dict[str, SideTable] = Field(default_factory=dict)
    """Side tables, joined to the log, each under a name of your choice."""
    label: Label = Label()
    """Which values of the label column are clicks; not needed for 0 and 1, or true and false."""
    split: Annotated[FileSplit | ShareSplit | TimeSplit | GroupSplit, Field(discriminator="by")]
    """Which rows are for training, validation and test."""
    workflow: WorkflowSettings
    """The NVTabular graph that makes the features from the columns."""
    model: Model = Model()
    """Sizes of the DLRM."""
    training: Training = Training()
    """Epochs, batches, optimizers."""
    serving: Serving = Serving()
    """The served models, and how they are checked."""
    append: Append = Append()
    """What a run keeps for later days, and how a day is appended."""

    @model_validator(mode="after")
    def _columns_fit_together(self) -> Config:
        if len(self.log.names("label")) != 1:
            raise ValueError("log.columns: wanted exactly one column of kind 'label'")
        self._check_time_column()
        self._check_group_column()
        if self.log.names("key"):
            raise ValueError("log.columns: kind 'key' is for tables; in the log give the real kind")
        for name, table in self.tables.items():
            if table.key not in self.log.columns:
                raise ValueError(f"tables.{name}: the log has no column {table.key!r} to join on")
            kind = self.log.columns[table.key]
            if kind not in ("integer", "hex", "string"):
                raise ValueError(
                    f"tables.{name}: the log's column {table.key!r} is {kind}, "
                    "wanted integer, hex or string to join on"
                )
        if CLICK in self.features:
            raise ValueError(f"a feature cannot be named {CLICK!r}: that is the label's name")
        if not self.features:
            raise ValueError(f"no feature column: wanted one of kind {', '.join(FEATURE_KINDS)}")
        return self

    def _check_time_column(self) -> None:
        if not isinstance(self.split, TimeSplit):
            return
        times, name = self.log.names("time"), self.split.column
        if name is None and len(times) != 1:
            several = f", or split.column: one of {', '.join(times)}" if times else ""
            raise ValueError(
                f"split by time: wanted exactly one log column of kind 'time'{several}"
            )
        if name is not None and name not in times:
            kind = self.log.columns.get(name, "not in the log")
            raise ValueError(f"split.column {name!r} is {kind}: wanted a log column of kind 'time'")

    def _check_group_column(self) -> None:
        name = self.group_column
        if name is None:
            return
        kind = self.log.columns.get(name)
        if kind is None:
            raise ValueError(self._no_group_column(name))
        if kind in ELEMENT_KINDS:
            raise ValueError(
                f"split.column {name!r} is {kind}: wanted a column of single values, since all "
                "rows of one value go to one split"
            )
        if kind not in GROUP_KINDS:
            raise ValueError(
                f"split.column {name!r} is of kind {kind}: wanted {', '.join(GROUP_KINDS)}"
            )

    def _no_group_column(self, name: str) -> str:
        for table, side in self.tables.items():
            if name in side.features:
                return (
                    f"split.column {name!r} is a column of tables.{table}: wanted one of the log, "
                    f"such as {side.key!r}, by which the table is joined"
                )
        if name in self.log.multi_hot:
            return f"split.column {name!r} is a list made of flags: wanted single values"
        return (
            f"split.column: log.columns has no {name!r} ({nearest(name, self.log.columns)}); "
            "declare a column that is not a feature as unused"
        )

    @property
    def group_column(self) -> str | None:
        """The column of a split by group, or None."""
        return self.split.column if isinstance(self.split, GroupSplit) else None

    @property
    def time_column(self) -> str | None:
        """The column of a split by time, or None."""
        return self.split.column or self.log.names("time")[0] if self.split.by == "time" else None

    @property
    def features(self) -> dict[str, FeatureKind]:
        """Name to kind of every feature column, the log's first, then each table's."""
        features: dict[str, FeatureKind] = {}
        for table in (self.log, *self.tables.values()):
            for name, kind in table.features.items():
                if name in features:
                    raise ValueError(f"column {name!r} is in two tables")
                features[name] = kind
        return features

    @property
    def label_column(self) -> str:
        return self.log.names("label")[0]
