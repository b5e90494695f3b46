"""Settings: frozen, typed, checked once where they enter; read from YAML by `features.config`."""

from __future__ import annotations

from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from features.columns import (
    CLICK,
    ELEMENT_KINDS,
    FEATURE_KINDS,
    FeatureKind,
    Kind,
    check_name,
    expand_range,
    expand_ranges,
)
from features.errors import nearest

Share = Annotated[float, Field(gt=0.0, lt=1.0)]
PositiveInt = Annotated[int, Field(gt=0)]
PositiveFloat = Annotated[float, Field(gt=0.0)]


class Settings(BaseModel):
    """Frozen; an unknown key is refused with the nearest known one."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for key in data:
                if key not in cls.model_fields:
                    raise ValueError(f"unknown key {key!r}, {nearest(str(key), cls.model_fields)}")
        return data


class Table(Settings):
    """How a text or Parquet table is laid out."""

    format: Literal["csv", "parquet"] = "csv"
    separator: Annotated[str, Field(min_length=1, max_length=1)] = ","
    header: bool = True
    quote: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: str = "utf-8"
    list_separator: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    """What stands between the elements of a list inside a text field."""
    columns: dict[str, Kind]
    """Name to kind. Without a header this is the order of the file's columns, all of them."""
    multi_hot: dict[str, tuple[str, ...]] = {}
    """A feature of kind string_list to the columns of kind flag that it is made of: a row's list
    holds the names of those that are 1, in the order given here."""

    @field_validator("columns", mode="after")
    @classmethod
    def _expand(cls, columns: dict[str, Kind]) -> dict[str, Kind]:
        return expand_ranges(columns)

    @field_validator("multi_hot", mode="after")
    @classmethod
    def _expand_flags(cls, multi_hot: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(single for flag in flags for single in expand_range(flag))
            for name, flags in multi_hot.items()
        }

    @model_validator(mode="after")
    def _lists_can_be_told_apart(self) -> Table:
        separator = self.list_separator
        if separator is not None and separator in (self.separator, self.quote):
            raise ValueError(
                f"list_separator {separator!r} is the separator or the quote too: "
                "choose another character"
            )
        lists = self.names(*ELEMENT_KINDS)
        if lists and self.format == "csv" and separator is None:
            raise ValueError(
                f"column {lists[0]!r} is {self.columns[lists[0]]}: "
                "wanted list_separator, the character between a list's elements"
            )
        return self

    @model_validator(mode="after")
    def _every_flag_has_one_use(self) -> Table:
        used: dict[str, str] = {}
        for name, flags in self.multi_hot.items():
            check_name(name)
            if name in self.columns:
                raise ValueError(f"multi_hot.{name}: the table has a column of that name")
            if not flags:
                raise ValueError(f"multi_hot.{name}: wanted columns of kind 'flag', got none")
            for flag in flags:
                kind = self.columns.get(flag, "not in the table")
                if kind != "flag":
                    raise ValueError(
                        f"multi_hot.{name}: column {flag!r} is {kind}, wanted kind 'flag'"
                    )
                if flag in used:
                    raise ValueError(
                        f"column {flag!r} stands in multi_hot.{used[flag]} and again in "
                        f"multi_hot.{name}: wanted one use"
                    )
                used[flag] = name
        unused = [flag for flag in self.names("flag") if flag not in used]
        if unused:
            raise ValueError(
                f"column {unused[0]!r} is a flag in no multi_hot: name it in one, "
                "or declare it as unused"
            )
        return self

    @field_validator("separator", "quote", "list_separator", mode="after")
    @classmethod
    def _is_ascii(cls, character: str | None) -> str | None:
        if character is not None and (not character.isascii() or character in "\r\n"):
            raise ValueError(f"wanted one ASCII character, no line end, got {character!r}")
        return character

    @field_validator("encoding", mode="after")
    @classmethod
    def _extends_ascii(cls, encoding: str) -> str:
        ascii_bytes = bytes(range(128))
        try:
            extends_ascii = ascii_bytes.decode(encoding) == ascii_bytes.decode("ascii")
        except (LookupError, UnicodeError):
            extends_ascii = False
        if not extends_ascii:
            raise ValueError(f"wanted utf-8, latin-1 or such, got {encoding!r}")
        return encoding

    def names(self, *kinds: str) -> tuple[str, ...]:
        return tuple(name for name, kind in self.columns.items() if kind in kinds)

    @property
    def features(self) -> dict[str, FeatureKind]:
        """Name to kind of the table's feature columns; those of `multi_hot` come last."""
        own = {n: cast(FeatureKind, self.columns[n]) for n in self.names(*FEATURE_KINDS)}
        made: dict[str, FeatureKind] = dict.fromkeys(self.multi_hot, "string_list")
        return own | made


class Log(Table):
    """The table of clicks: one row an impression."""

    files: tuple[str, ...] = ()
    """File names inside the folder given by `--data`; none means every file, in name order."""
    malformed_limit: Annotated[int, Field(ge=0)] = 100
    """Malformed lines above this number stop the ingest."""
    typed_copy: bool = False
    """Keep the typed rows of all splits as Parquet. Without it the ETL reads the log itself, where
    the engine can (Polars can) and the split is not by time."""


class SideTable(Table):
    """A table joined to the log by one key column, which is of kind `key` here."""

    file: str
    """File name beside the first log file."""

    @model_validator(mode="after")
    def _has_one_key(self) -> SideTable:
        if len(self.names("key")) != 1:
            raise ValueError("wanted exactly one column of kind 'key'")
        return self

    @property
    def key(self) -> str:
        return self.names("key")[0]


class ClickModel(Settings):
    """Criteo-format logs drawn from a known click model: the best reachable AUC is known."""

    rows: PositiveInt
    days: Annotated[int, Field(ge=3)]
    vocabulary: tuple[PositiveInt, ...]
    """Number of values of each categorical column."""
    continuous: Annotated[int, Field(ge=0)] = 13
    click_rate: Share = 0.25


class Label(Settings):
    """A label column holds 0 and 1, or a number that counts as a click from `at_least` on."""

    at_least: float | None = None


class FileSplit(Settings):
    """Whole files: `valid` and `test` are positions in the list of files, the others train."""

    by: Literal["file"]
    valid: tuple[int, ...]
    test: tuple[int, ...]

    @model_validator(mode="after")
    def _do_not_overlap(self) -> FileSplit:
        both = sorted({*self.valid} & {*self.test})
        if both:
            raise ValueError(f"file {both[0]} stands in valid and in test")
        return self


class ShareSplit(Settings):
    """Shares of the rows, in row order, in time order, or at random by hash."""

    by: Literal["rows", "time", "hash"]
    valid: Share
    test: Share

    @model_validator(mode="after")
    def _leave_rows_to_train_on(self) -> ShareSplit:
        if self.valid + self.test >= 1.0:
            raise ValueError(f"valid {self.valid} and test {self.test} leave no rows to train on")
        return self


class CriteoWorkflow(Settings):
    """The graph of `workflows/criteo.py`."""

    graph: Literal["criteo"]
    frequency_threshold: Annotated[int, Field(ge=0)] = 15


class StandardWorkflow(Settings):
    """The graph of `workflows/standard.py`."""

    graph: Literal["standard"]
    frequency_threshold: Annotated[int, Field(ge=0)] = 0
    fill: float = 0.0
    clip_min: float | None = None
    clip_max: float | None = None
    log: bool = False
    """log(1 + x); needs a `clip_min` above -1, since below that there is no logarithm."""
    normalize: bool = True

    @model_validator(mode="after")
    def _logarithm_exists(self) -> StandardWorkflow:
        if self.log and (self.clip_min is None or self.clip_min <= -1.0):
            raise ValueError(f"log wants a clip_min above -1, got {self.clip_min}")
        return self


MODELS: dict[str, dict[str, Any]] = {
    "article": {
        "embedding_dim": 128,
        "bottom_mlp": (512, 256, 128),
        "top_mlp": (1024, 1024, 512, 256),
    },
    "kaggle": {},  # the defaults
}
"""Shapes of the DLRM that NVIDIA's article trains on Criteo's terabyte, and of the one that its
authors train on Criteo's challenge at Kaggle."""

ARTICLE_BATCH = 65_536
ARTICLE_LEARNING_RATE = 24.0
ARTICLE_RECIPE: dict[str, Any] = {
    "batch_size": ARTICLE_BATCH,
    "optimizer": "sgd",
    "embedding_optimizer": "sgd",
    "warmup_share": 0.125,
    "decay_share": 0.25,
    "decay_power": 2.0,
}
"""How NVIDIA's DeepLearningExamples train the article's model: one epoch of 64,014 steps, of which
the first 8,000 warm up and those from 48,000 on decay. Shares fit any number of rows."""


class Model(Settings):
    """DLRM: `bottom_mlp` ends in `embedding_dim`; a linear layer to one logit follows `top_mlp`."""

    preset: Literal["article", "kaggle"] = "kaggle"
    """Gives `embedding_dim`, `bottom_mlp` and `top_mlp` where they are not given."""
    embedding_dim: PositiveInt = 16
    bottom_mlp: tuple[PositiveInt, ...] = (512, 256, 64, 16)
    top_mlp: tuple[PositiveInt, ...] = (512, 256)
    bag: Literal["mean", "sum"] = "mean"
    """What a list column gives: the mean or the sum of its ids' embeddings; zeros without ids."""
    embedding_rows: Literal["fp32", "bf16"] = "fp32"
    """Precision of the stored embeddings. bf16 halves their memory: they are then rounded
    stochastically, see docs/decisions/0012. Only `--model fused` has it."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_preset(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {**MODELS.get(data.get("preset", "kaggle"), {}), **data}
        return data

    @model_validator(mode="after")
    def _bottom_ends_in_embedding_dim(self) -> Model:
        if not self.bottom_mlp or self.bottom_mlp[-1] != self.embedding_dim:
            raise ValueError(
                f"bottom_mlp has to end in embedding_dim {self.embedding_dim}, "
                f"got {list(self.bottom_mlp)}"
            )
        return self


class Training(Settings):
    """Binary cross-entropy on logits; one optimizer for the dense layers, one for the embeddings.

    Both learning rates rise linearly over `warmup_share` of the steps, stay, and fall as a
    polynomial to zero over the last `decay_share` of them.
    """

    recipe: Literal["adaptive", "article"] = "adaptive"
    """Gives the keys that are not given. adaptive: the defaults here, Adam and row-wise Adagrad.
    article: SGD in batches of 65,536 with warm-up and quadratic decay, and the learning rates 24
    for that batch; they shrink with `batch_size`, which smaller data wants smaller."""
    epochs: PositiveInt = 1
    batch_size: PositiveInt = 2048
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the layers' products; weights and sums are float32. auto: what the device is fast in."""
    optimizer: Literal["adam", "sgd"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    embedding_optimizer: Literal["rowwise_adagrad", "sgd"] = "rowwise_adagrad"
    embedding_learning_rate: PositiveFloat = 2e-2
    warmup_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    decay_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    decay_power: PositiveFloat = 1.0
    clip_norm: PositiveFloat | None = None
    """Largest norm of the dense layers' gradients, taken together; greater ones are scaled down.
    Embeddings are left as they are."""
    checkpoint_every: PositiveInt = 2000
    """Steps between two checkpoints; one is also written after each epoch."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in_recipe(cls, data: Any) -> Any:
        if not isinstance(data, dict) or data.get("recipe") != "article":
            return data
        filled = {**ARTICLE_RECIPE, **data}
        batch_size = filled["batch_size"]
        if isinstance(batch_size, int):
            scaled = ARTICLE_LEARNING_RATE * batch_size / ARTICLE_BATCH
            filled = {"learning_rate": scaled, "embedding_learning_rate": scaled, **filled}
        return filled

    @model_validator(mode="after")
    def _warm_up_and_decay_do_not_overlap(self) -> Training:
        if self.warmup_share + self.decay_share > 1.0:
            raise ValueError(
                f"warmup_share {self.warmup_share} and decay_share {self.decay_share} overlap: "
                "wanted a sum of at most 1"
            )
        return self


class Serving(Settings):
    """The Triton model repository, and what the serve stage sends through it."""

    max_batch_size: PositiveInt = 4096
    instances: PositiveInt = 1
    """Processes of each served step."""
    threads: PositiveInt | None = None
    """Threads of one instance; None: the server's cores, shared out among the instances."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Of the layers' products in offline and served scoring; sums are float32. auto: bf16 where
    this processor is fast in it."""
    max_queue_size: PositiveInt = 256
    """Requests that may wait for a step; more are refused at once."""
    queue_timeout_ms: PositiveInt = 1000
    """How long a request may wait for a step before it is refused."""
    tensorrt: bool = False
    """Whether a GPU server's ONNX Runtime uses TensorRT; not for weights of 2 GB and more."""
    probe_rows: Annotated[int, Field(ge=1000)] = 1000
    """Raw test rows that are served and compared with offline scoring."""
    latency_requests: PositiveInt = 200
    """Requests timed for each model, protocol and batch size."""


class Config(Settings):
    """One data set, from raw log to served score."""

    name: str
    seed: Annotated[int, Field(ge=0)] = 1
    click_model: ClickModel | None = None
    """Where given, the logs are drawn from it, and `--data` is not needed."""
    log: Log
    tables: dict[str, SideTable] = {}
    label: Label = Label()
    split: Annotated[FileSplit | ShareSplit, Field(discriminator="by")]
    workflow: Annotated[CriteoWorkflow | StandardWorkflow, Field(discriminator="graph")]
    model: Model = Model()
    training: Training = Training()
    serving: Serving = Serving()

    @model_validator(mode="after")
    def _columns_fit_together(self) -> Config:
        if len(self.log.names("label")) != 1:
            raise ValueError("log.columns: wanted exactly one column of kind 'label'")
        if self.split.by == "time" and len(self.log.names("time")) != 1:
            raise ValueError("split by time: wanted exactly one log column of kind 'time'")
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

    @property
    def features(self) -> dict[str, FeatureKind]:
        """Name to kind of every feature column, the log's first, then each table's."""
        found: dict[str, FeatureKind] = {}
        for table in (self.log, *self.tables.values()):
            for name, kind in table.features.items():
                if name in found:
                    raise ValueError(f"column {name!r} stands in two tables")
                found[name] = kind
        return found

    @property
    def label_column(self) -> str:
        return self.log.names("label")[0]
