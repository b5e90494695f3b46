"""Triton's model control: load a model again while the server runs, and see which are ready.

Nothing is retried: whether a load that broke off has taken effect is for the caller to find out.
"""

from __future__ import annotations

from typing import Any

from plumbline.serving.client.transport import Transport


class ModelControl(Transport):
    """A connection that can also load models; its time limit is that of one load."""

    def load(self, model: str) -> None:
        """Read a model's config again, and load the versions it lists, beside those that serve.

        Raises
        ------
        ServerError
            A version does not load (the earlier ones go on serving), or the endpoint is closed.
        """
        triton = self._triton
        self._send(lambda: triton.calls.load_model(model, self._headers(), **triton.time_limit))

    def ready_versions(self, model: str) -> set[str]:
        """The versions that are loaded.

        Raises
        ------
        ServerError
            The endpoint is closed.
        """
        index = self._send(self._get_index)
        models = index if isinstance(index, list) else index.get("models", [])
        return {
            str(entry["version"])
            for entry in models
            if entry["name"] == model and entry.get("state") == "READY"
        }

    def _get_index(self) -> Any:
        triton = self._triton
        return triton.calls.get_model_repository_index(self._headers(), **triton.as_json)
