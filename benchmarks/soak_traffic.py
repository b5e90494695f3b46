"""Mixed requests: all served models, both protocols, all sizes, and some invalid ones.

Legend: B rows, F id columns, C continuous columns.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from benchmarks.criteo_plan import requests_of
from plumbline.columns.wire import CATEGORICAL_INT64, CONTINUOUS, Tensors
from plumbline.dlrm.score.scorer import Scorer
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.serving.contract.interface import (
    CLICK_PROBABILITY,
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
)
from plumbline.serving.contract.outputs import to_encoded_tensors
from plumbline.serving.launch.server import TritonServer

SIZES = (1, 1, 1, 16, 64, 256, 1024, 2048)
MODELS = (FUSED_MODEL, FUSED_MODEL, ENSEMBLE_MODEL, FEATURES_MODEL, DLRM_MODEL)
PROTOCOLS = ("http", "grpc")
WRONG_SHARE = 0.02
ANSWER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Piece:
    """One request of the traffic; `expected` holds the answer's tensors, None if it is invalid."""

    model: str
    protocol: str
    tensors: Tensors
    expected: Tensors | None

    @property
    def name(self) -> str:
        return f"{self.model}, {self.protocol}"

    @property
    def rows(self) -> int:
        return len(next(iter(self.tensors.values())))


@dataclass(frozen=True, slots=True)
class Answered:
    """The outcome of a piece; times as in `benchmarks.serve_requests.Outcome`."""

    piece: Piece
    started: float
    ended: float
    error: str
    right: bool
    """Whether the answer is as expected, bit for bit; for an invalid request, whether refused."""


def traffic(
    executor: OnlineExecutor, scorer: Scorer, max_batch_size: int, count: int
) -> list[Piece]:
    """`count` pieces in random order, with the answers computed offline."""
    generator = np.random.default_rng(5)
    batches = {rows: requests_of(rows, 4) for rows in set(SIZES)}
    right: list[Piece] = []
    for rows in SIZES:
        for raw in batches[rows]:
            encoded = executor.transform(raw)
            probability_B = scorer.score(encoded.ids_BF, encoded.dense_BC, encoded.bags)
            scores: Tensors = {CLICK_PROBABILITY: probability_B[:, np.newaxis]}
            between = to_encoded_tensors(encoded)
            takes = {DLRM_MODEL: between}
            gives = {FEATURES_MODEL: between}
            right += [
                Piece(model, protocol, takes.get(model, raw), gives.get(model, scores))
                for model in MODELS
                for protocol in PROTOCOLS
            ]
    wrong = list(_wrong_pieces(batches[16][0], requests_of(max_batch_size + 1, 1)[0]))
    is_wrong = generator.random(count) < WRONG_SHARE
    return [
        wrong[generator.integers(len(wrong))] if w else right[generator.integers(len(right))]
        for w in is_wrong.tolist()
    ]


def _wrong_pieces(raw: Tensors, too_many: Tensors) -> Iterator[Piece]:
    bad: Mapping[str, Tensors] = {
        "a column too few": {**raw, CATEGORICAL_INT64: raw[CATEGORICAL_INT64][:, 1:].copy()},
        "another dtype": {**raw, CONTINUOUS: raw[CONTINUOUS].astype(np.float64)},
        "a tensor missing": {CONTINUOUS: raw[CONTINUOUS]},
        "an unknown tensor": {**raw, "unknown": raw[CONTINUOUS]},
        "too many rows": too_many,
    }
    for model in (FUSED_MODEL, ENSEMBLE_MODEL):
        for protocol in PROTOCOLS:
            for tensors in bad.values():
                yield Piece(model, protocol, tensors, None)


class Sender:
    """The connections of one thread."""

    def __init__(self, server: TritonServer) -> None:
        self._clients = {
            "http": tritonclient.http.InferenceServerClient(
                server.http_url, network_timeout=ANSWER_SECONDS
            ),
            "grpc": tritonclient.grpc.InferenceServerClient(server.grpc_url),
        }

    def send(self, piece: Piece, started: float | None = None) -> Answered:
        begun = time.perf_counter() if started is None else started
        inputs = _inputs(piece)
        try:
            answer = self._clients[piece.protocol].infer(piece.model, inputs)
        except (InferenceServerException, OSError) as error:
            refused = isinstance(error, InferenceServerException) and error.status() is not None
            right = piece.expected is None and refused
            return Answered(piece, begun, time.perf_counter(), str(error), right)
        return Answered(piece, begun, time.perf_counter(), "", _as_expected(answer, piece))

    def close(self) -> None:
        for client in self._clients.values():
            client.close()


def _inputs(piece: Piece) -> list[Any]:
    library = tritonclient.grpc if piece.protocol == "grpc" else tritonclient.http
    inputs = []
    for name, tensor in piece.tensors.items():
        tensor_input = library.InferInput(
            name, list(tensor.shape), np_to_triton_dtype(tensor.dtype)
        )
        tensor_input.set_data_from_numpy(tensor)
        inputs.append(tensor_input)
    return inputs


def _as_expected(answer: Any, piece: Piece) -> bool:
    return piece.expected is not None and all(
        np.array_equal(answer.as_numpy(name), wanted) for name, wanted in piece.expected.items()
    )
