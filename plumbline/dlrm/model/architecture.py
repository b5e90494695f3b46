"""The architecture of a DLRM: columns in plan order, sizes of tables and layers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

from plumbline.base.errors import ConfigError
from plumbline.base.json_fields import Positive, from_json
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.ops.embedding.pooling import Pooling
from plumbline.dlrm.ops.interaction.width import interaction_width

if TYPE_CHECKING:
    from plumbline.features.plan.plan import Plan
    from plumbline.settings import Model


RowPrecision = Literal["fp32", "bf16"]


@dataclass(frozen=True, slots=True)
class Architecture:
    """Defines the model's parts and inputs.

    Raises ConfigError for a combination that gives no model.
    """

    categorical: tuple[str, ...]
    """Names of the id columns, in plan order."""
    cardinalities: tuple[Positive, ...]
    """Number of ids of each id column, which is the number of rows of its embedding table."""
    continuous: tuple[str, ...]
    """Names of the float columns, in plan order: the columns of `dense_BC`."""
    embedding_dim: Positive
    bottom_mlp: tuple[Positive, ...]
    """Widths of the layers over the continuous columns; empty without such columns."""
    top_mlp: tuple[Positive, ...]
    """Widths of the layers before the last one, which gives the logit."""
    bags: tuple[str, ...] = ()
    """Names of the id columns with a list of ids per row, in plan order."""
    bag: Pooling = "mean"
    """A list's vector: the mean, the sum, the maximum or the sum with a weight for each position of
    its ids' embeddings, element by element; zeros for an empty list."""
    bag_positions: int | None = None
    """Number of weights of each list column's positions; None if they have none."""
    embedding_rows: RowPrecision = "fp32"
    """Precision in which the rows of the tables are stored."""

    def __post_init__(self) -> None:
        if len(self.categorical) != len(self.cardinalities):
            raise ConfigError(
                f"architecture: wanted a cardinality for each of {len(self.categorical)} "
                f"categorical columns, got {len(self.cardinalities)}."
            )
        if len({*self.categorical, *self.continuous}) < len(self.categorical + self.continuous):
            raise ConfigError("architecture: wanted columns of different names, got one twice.")
        if self.bags != tuple(name for name in self.categorical if name in self.bags):
            raise ConfigError(
                f"architecture: wanted bags among the categorical columns, in their order, got "
                f"{', '.join(self.bags)}."
            )
        weighted, positions = self.bag == "position_weighted", self.bag_positions
        if weighted != (positions is not None) or (positions is not None and positions < 1):
            raise ConfigError(
                "architecture: wanted bag_positions of 1 or more with bag position_weighted, and "
                f"none with another, got {self.bag_positions} with bag {self.bag}."
            )
        if not self.continuous and len(self.categorical) < 2:
            raise ConfigError(
                "DLRM: wanted at least two categorical columns or one continuous one, got "
                f"{len(self.categorical)} categorical and no continuous: there is no pair of "
                "vectors to interact. Add a feature column."
            )
        if self.continuous and self.bottom_mlp[-1:] != (self.embedding_dim,):
            raise ConfigError(
                f"model.bottom_mlp has to end in embedding_dim {self.embedding_dim}, "
                f"got {list(self.bottom_mlp)}."
            )
        if not self.continuous and self.bottom_mlp:
            raise ConfigError("architecture: a bottom MLP without continuous columns.")

    @classmethod
    def of(cls, plan: Plan, model: Model) -> Architecture:
        """From a fitted plan and the model's settings; no continuous columns, no bottom MLP."""
        continuous = tuple(column.name for column in plan.continuous)
        return cls(
            categorical=tuple(column.name for column in plan.categorical),
            cardinalities=plan.cardinalities,
            continuous=continuous,
            embedding_dim=model.embedding_dim,
            bottom_mlp=model.bottom_mlp if continuous else (),
            top_mlp=model.top_mlp,
            bags=tuple(column.name for column in plan.categorical if column.is_list),
            bag=model.bag,
            bag_positions=model.bag_positions,
            embedding_rows=model.embedding_rows,
        )

    @property
    def single(self) -> tuple[str, ...]:
        """The id columns with one id a row, in plan order: the columns of `ids_BF`."""
        return tuple(name for name in self.categorical if name not in self.bags)

    @property
    def top_input(self) -> int:
        """Width of the top MLP's input."""
        if not self.categorical:
            return self.embedding_dim
        return interaction_width(len(self.categorical), self.embedding_dim, bool(self.continuous))

    def to_json(self) -> dict[str, Any]:
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in asdict(self).items()
            if value is not None
        }

    @classmethod
    def from_json(cls, content: Any, file: str) -> Architecture:
        """Raises ModelError, naming `file`, if `content` is not an architecture's JSON."""
        try:
            return from_json(cls, content)
        except (ValueError, ConfigError) as error:
            reason = f"its architecture is not usable ({type(error).__name__} {error})"
            raise ModelError.unreadable(file, reason) from None
