"""Adam on the dense layers, Adagrad on the embeddings, and their state as named tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from torch import Tensor
from torch.nn import Parameter
from torch.optim import Adagrad, Adam, Optimizer

if TYPE_CHECKING:
    from features.settings import Training

EMBEDDING_PREFIX = "tables."


class Optimizers:
    """Both of them, over the parameters of a model under their canonical names.

    With sparse gradients Adagrad touches the rows of the batch alone, and does to them what dense
    gradients would: a row without a gradient does not move.
    """

    def __init__(self, parameters: Mapping[str, Parameter], training: Training) -> None:
        self._parameters = dict(parameters)
        embeddings = [p for name, p in parameters.items() if name.startswith(EMBEDDING_PREFIX)]
        dense = [p for name, p in parameters.items() if not name.startswith(EMBEDDING_PREFIX)]
        self._optimizers: list[Optimizer] = [Adam(dense, lr=training.learning_rate)]
        self._learning_rates = [training.learning_rate]
        self._decay_share = training.decay_share
        if embeddings:
            self._optimizers.append(Adagrad(embeddings, lr=training.embedding_learning_rate))
            self._learning_rates.append(training.embedding_learning_rate)

    def zero_grad(self) -> None:
        for optimizer in self._optimizers:
            optimizer.zero_grad()

    def step(self, share_done: float) -> None:
        """Apply the gradients, at the learning rates for this share of the training, 0 to 1."""
        left = 1.0 if self._decay_share == 0 else (1.0 - share_done) / self._decay_share
        for optimizer, learning_rate in zip(self._optimizers, self._learning_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate * min(1.0, left)
            optimizer.step()

    def state(self) -> dict[str, Tensor]:
        """`<parameter>/<quantity>` to its tensor."""
        return {
            f"{name}/{quantity}": tensor
            for optimizer in self._optimizers
            for name, parameter in self._parameters.items()
            if parameter in optimizer.state
            for quantity, tensor in optimizer.state[parameter].items()
        }

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Take up a state that `state()` gave."""
        for key, tensor in state.items():
            name, quantity = key.rsplit("/", 1)
            parameter = self._parameters[name]
            optimizer = self._optimizers[name.startswith(EMBEDDING_PREFIX)]
            # The count of steps stays on the CPU, where torch keeps it.
            value = tensor if quantity == "step" else tensor.to(parameter.device)
            optimizer.state[parameter][quantity] = value
