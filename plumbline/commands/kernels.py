"""`plumbline kernels`: what `auto` takes on this machine, and the times it is based on."""

from __future__ import annotations

import typer

SHOWN = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")
"""Flags of a processor that decide which kernels it can run."""


def kernels() -> None:
    """Print this processor's kernels, their measured times, and what `auto` takes, of a GPU too."""
    from plumbline.base.fastest import Times, cache_folder, processor
    from plumbline.dlrm.ops.instruction_sets import candidates
    from plumbline.dlrm.ops.interaction.speed import interaction_set, interaction_times
    from plumbline.dlrm.ops.library import cpu_module, has_bfloat16
    from plumbline.dlrm.ops.scoring.precision import scoring_precision
    from plumbline.dlrm.ops.scoring.speed import scoring_set, scoring_times
    from plumbline.dlrm.train.precision import training_precision
    from plumbline.dlrm.train.speed import products_times
    from plumbline.stages.machine import Machine

    def show(name: str, value: str) -> None:
        typer.echo(f"{name:24}  {value}")

    def show_times(name: str, times: Times) -> None:
        show(name, ", ".join(f"{way} {ms:.3g} ms" for way, ms in times.items()))

    here, module = processor(), cpu_module()
    show("processor", f"{here['model']}, {here['cores']} cores")
    show("flags", ", ".join(flag for flag in SHOWN if flag in here["flags"]) or "none of ours")
    missing = Machine().missing_for_gpu()
    show("gpu", "used" if missing is None else f"not used: {missing.what}")
    show("serving.precision auto", scoring_precision("auto"))
    show("training.precision auto", training_precision("auto", "cpu"))
    if module is None:
        show("instruction sets", "none: the native kernels were not built, or are turned off")
    else:
        show("instruction sets", ", ".join(candidates(module)))
        for precision in ("fp32", "bf16"):
            show(f"scoring in {precision}", scoring_set(module, precision))
            show(f"interaction in {precision}", interaction_set(module, precision))
        show_times("times of scoring", scoring_times(module))
        for precision in ("fp32", "bf16"):
            show_times(f"of interaction in {precision}", interaction_times(module, precision))
    if has_bfloat16():
        show_times("of products", products_times())
    show("kept in", str(cache_folder() or "memory only"))
