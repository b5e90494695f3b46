"""Optimizers over named parameters, with a learning rate per step and state as named tensors.

The fused embeddings have their own optimizer, `plumbline.dlrm.train.embedding_optimizer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.nn.utils import clip_grad_norm_
from torch.optim import SGD, AdamW, Optimizer

if TYPE_CHECKING:
    from plumbline.dlrm.train.training_plan import PlannedTraining


class NamedOptimizer:
    """An optimizer with a learning rate factor per step, and state keyed by parameter name.

    Parameters
    ----------
    make
        Creates the optimizer from its parameters and `lr`.
    clip_norm
        Upper bound of the norm of all gradients together; larger ones are scaled down to it.
    rate_in_memory
        Keep the learning rate in the parameters' memory, where a captured CUDA graph reads it at
        each replay; float32. Only for torch's fused optimizers.
    """

    def __init__(
        self,
        parameters: Mapping[str, Parameter],
        make: Callable[..., Optimizer],
        learning_rate: float,
        clip_norm: float | None = None,
        rate_in_memory: bool = False,
    ) -> None:
        self._parameters = dict(parameters)
        self._optimizer = make(list(self._parameters.values()), lr=learning_rate)
        self._learning_rate = learning_rate
        self._clip_norm = clip_norm
        self._rate: Tensor | None = None
        if rate_in_memory:
            self._rate = next(iter(parameters.values())).new_zeros((), dtype=torch.float32)
            self._set_rate(self._rate)
            for group in self._optimizer.param_groups:
                if "capturable" in group:  # Adam's permission to be captured
                    group["capturable"] = True

    def zero_grad(self) -> None:
        self._optimizer.zero_grad()

    def step(self, factor: float, skip: Tensor | None = None) -> None:
        """Apply the gradients with `factor` times the learning rate.

        `skip`, for torch's fused optimizers, is a float32 scalar on the parameters' device, 0 or 1:
        with 1 nothing changes. Nobody waits for its value.
        """
        if self._clip_norm is not None:
            clip_grad_norm_(self._parameters.values(), self._clip_norm)
        rate = factor * self._learning_rate
        if self._rate is None:
            self._set_rate(rate)
        else:
            self._rate.fill_(rate)
        if skip is not None:
            self._optimizer.found_inf = skip  # type: ignore[attr-defined]  # of torch's loss scaling
        self._optimizer.step()

    def _set_rate(self, rate: Tensor | float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = rate

    def state(self) -> dict[str, Tensor]:
        """Tensors by `<parameter>/<quantity>`."""
        return {
            f"{name}/{quantity}": tensor
            for name, parameter in self._parameters.items()
            if parameter in self._optimizer.state
            for quantity, tensor in self._optimizer.state[parameter].items()
            if tensor is not None
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `state()` returned."""
        for key, tensor in state.items():
            name, quantity = key.rsplit("/", 1)
            parameter = self._parameters[name]
            self._optimizer.state[parameter][quantity] = tensor.to(parameter.device, copy=True)


def dense_optimizer(
    parameters: Mapping[str, Parameter], training: PlannedTraining, rate_in_memory: bool = False
) -> NamedOptimizer:
    """The dense layers' optimizer, fused into one pass over their memory.

    `training.weight_decay` is decoupled from the gradient, w ← w - lr · decay · w, and applies to
    matrices only.
    """
    kinds: dict[str, type[Optimizer]] = {"adam": AdamW, "sgd": SGD}
    kind, decay = kinds[training.optimizer], training.weight_decay

    def make(values: list[Parameter], lr: float) -> Optimizer:
        groups = [
            {"params": [value for value in values if value.dim() > 1], "weight_decay": decay},
            {"params": [value for value in values if value.dim() <= 1], "weight_decay": 0.0},
        ]
        return kind(groups, lr=lr, fused=True)  # type: ignore[call-arg]

    return NamedOptimizer(
        parameters, make, training.learning_rate, training.clip_norm, rate_in_memory
    )


def sparse_optimizer(
    parameters: Mapping[str, Parameter], training: PlannedTraining
) -> NamedOptimizer:
    """The optimizer of embedding tables with sparse gradients."""
    kinds: dict[str, type[Optimizer]] = {"rowwise_adagrad": RowwiseAdagrad, "sgd": SGD}
    kind = kinds[training.embedding_optimizer]
    return NamedOptimizer(parameters, kind, training.embedding_learning_rate)


class RowwiseAdagrad(Optimizer):
    """Adagrad with one accumulator per row, for parameters of shape (R, D) with sparse gradients.

    s ← s + mean(g²), w ← w - lr · g / (√s + eps), in the rows that have a gradient g.

    Gupta et al. 2014, "Training Highly Multiclass Classifiers", section 4.2.
    """

    def __init__(self, parameters: Any, lr: float, eps: float = 1e-8) -> None:
        super().__init__(parameters, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._step(parameter, parameter.grad, group["lr"], group["eps"])

    def _step(
        self, parameter: Parameter, gradient: Tensor, learning_rate: float, eps: float
    ) -> None:
        state = self.state[parameter]
        if not state:
            state["sum"] = parameter.new_zeros(len(parameter))
        gradient = gradient.coalesce()
        rows_N, gradient_ND = gradient.indices()[0], gradient.values()
        sum_N = state["sum"][rows_N] + gradient_ND.square().mean(dim=1)
        state["sum"][rows_N] = sum_N
        scale_N1 = (sum_N.sqrt() + eps).reciprocal().unsqueeze(1)
        parameter.index_add_(0, rows_N, gradient_ND * scale_N1, alpha=-learning_rate)
