"""Times of the kernels against torch's own operators and a copy of the bytes that have to move.

The copy's time is the floor: its time over ours is the share of the bandwidth that is used.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from benchmarks.gpu_check.calls import (
    IDS,
    Call,
    Ids,
    draw_columns,
    gather_call,
    interaction_calls,
    interaction_inputs,
    rows_of,
    tables,
    update_call,
)
from benchmarks.gpu_check.place import Place, median
from benchmarks.gpu_check.report import Report
from benchmarks.harness import OURS
from benchmarks.interaction import COPY, PEER, bmm_and_gather
from plumbline.dlrm.ops.interaction.cuda import Form

SHARE = 0.8
"""Of the copy's bandwidth, wanted of every kernel."""

Peers = dict[str, Callable[[], object]]


def check(place: Place, report: Report) -> None:
    """Measure; no time fails. Memory is freed after each call."""
    rows: list[list[str]] = []
    for dtype in (torch.bfloat16, torch.float16):
        sides = zip(
            interaction_calls(place, dtype),
            interaction_calls(place, dtype, Form.WMMA),
            _interaction_peers(place, dtype),
            strict=True,
        )
        for call, wmma, peer in sides:
            peers: Peers = {PEER: peer, "wmma": wmma.work}
            rows.append(_measured(place, report, call, peers, is_target=True))
    for row_dtype in (torch.float32, torch.bfloat16):
        peer = _index_select(place, row_dtype)
        call = gather_call(place, row_dtype, torch.bfloat16)
        rows.append(_measured(place, report, call, {"index_select": peer}, is_target=True))
    for ids in IDS:
        call = update_call(place, torch.float32, ids)
        rows.append(_measured(place, report, call, {"torch's sort alone": _sort(place, ids)}))
        if not place.is_emulated:
            rows += _kernels_alone(place, report, call, is_target=ids == "distinct")
    columns = ["call", "MB that have to move", "floor, µs", "ours, µs", "share of the bandwidth"]
    report.table(f"{rows_of(place):,} rows", columns, rows)


def _measured(
    place: Place, report: Report, call: Call, peers: Peers, is_target: bool = False
) -> list[str]:
    """Add the case; returns its row of the table."""
    figures = {OURS: place.microseconds(call.work)}
    figures |= {name: place.microseconds(peer) for name, peer in peers.items()}
    figures[COPY] = place.copy_microseconds(call.bytes)
    report.case(call.name, "µs", figures)
    report.checked()
    return _row(place, report, call.name, call.bytes, figures, is_target)


def _kernels_alone(place: Place, report: Report, call: Call, is_target: bool) -> list[list[str]]:
    """The kernels of an update without checks and sort, if torch's profiler sees them."""
    name = f"{call.name}, its kernels alone"
    seen = [event for event in place.profile(call.work) if call.kernel in event[0]]
    if not seen:
        report.note(f"{name}: torch's profiler sees no kernel {call.kernel} here")
        return []
    figures = {
        OURS: [sum(microseconds for _, _, microseconds in seen)],
        COPY: place.copy_microseconds(call.bytes),
    }
    report.case(name, "µs", figures)
    return [_row(place, report, name, call.bytes, figures, is_target)]


def _row(
    place: Place,
    report: Report,
    name: str,
    size: int,
    figures: dict[str, list[float]],
    is_target: bool,
) -> list[str]:
    ours, floor = median(figures[OURS]), median(figures[COPY])
    if is_target and not place.is_small:
        report.at_least(f"{name}: share of the copy's bandwidth", floor / ours, SHARE)
    return [name, f"{size / 1e6:,.1f}", f"{floor:,.0f}", f"{ours:,.0f}", f"{floor / ours:.2f}"]


def _interaction_peers(
    place: Place, dtype: torch.dtype
) -> tuple[Callable[[], object], Callable[[], object]]:
    """Forward and backward by bmm and gather."""
    *inputs, gradient_BK = interaction_inputs(place, dtype)
    with torch.device(place.device):
        operator = bmm_and_gather()
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    out_BK = operator(*leaves)
    return (
        lambda: operator(*inputs),
        lambda: torch.autograd.grad(out_BK, leaves, gradient_BK, retain_graph=True),
    )


def _index_select(place: Place, row_dtype: torch.dtype) -> Callable[[], object]:
    weight_RD, columns = tables(place, row_dtype), draw_columns(place, "distinct")
    row_M = (columns.first_row_F + columns.ids_BF).flatten()
    return lambda: weight_RD.index_select(0, row_M).to(torch.bfloat16)


def _sort(place: Place, ids: Ids) -> Callable[[], object]:
    columns = draw_columns(place, ids)
    row_M = (columns.first_row_F + columns.ids_BF).flatten().int()
    return lambda: row_M.sort(stable=True)
