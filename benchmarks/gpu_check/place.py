"""Where the kernels run: a CUDA device, or the emulation on the CPU."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from unittest import SkipTest
from unittest.mock import patch

import torch

from benchmarks.gpu_check.library import KernelLibrary
from benchmarks.gpu_check.library_file import library_file
from plumbline.base.device import Device
from plumbline.dlrm.ops.embedding import operator as embedding_operator
from plumbline.dlrm.ops.embedding.cuda import CudaEmbedding
from plumbline.dlrm.ops.embedding.faults import IdFaults
from plumbline.dlrm.ops.interaction import operator as interaction_operator
from plumbline.dlrm.ops.interaction.cuda import FORM, CudaInteraction, Form
from plumbline.dlrm.ops.library import cuda_module
from plumbline.dlrm.train import embedding_optimizer
from tests.dlrm.kernels.emulated import HOPPER, EmulatedModule

MODULE = "plumbline.dlrm._kernels_cuda"


@dataclass(frozen=True)
class Place:
    """The kernels, and the device of their tensors.

    Parameters
    ----------
    is_small
        Use small sizes, as the emulation and the sanitizer need.
    """

    device: Device
    library: ModuleType
    is_small: bool

    @staticmethod
    def open(is_emulated: bool, is_small: bool) -> Place:
        """Load the library that part `build` made; the operators use it on CUDA tensors.

        Raises SkipTest if it is missing, or if there is no device.
        """
        file = library_file(is_emulated)
        if not file.exists():
            raise SkipTest(f"the kernels are not built: there is no {file.name}")
        if is_emulated:
            torch.set_num_threads(1)  # small tensors: more threads only wait for each other
            emulated = EmulatedModule(file)
            emulated.emulate(HOPPER)
            return Place("cpu", emulated, True)
        if not torch.cuda.is_available():
            raise SkipTest("torch finds no CUDA device")
        library = KernelLibrary(file)
        sys.modules[MODULE] = library
        assert cuda_module() is library, f"{MODULE} was imported, or PLUMBLINE_NATIVE=0 is set"
        return Place("cuda", library, is_small)

    @property
    def is_emulated(self) -> bool:
        return self.device == "cpu"

    def interaction(self, form: Form = FORM) -> CudaInteraction:
        return CudaInteraction(self.library, form)

    def embedding(self, waits: bool = True) -> CudaEmbedding:
        """Without waiting, updates note wrong ids on the device, as in training."""
        faults = None if waits else IdFaults(torch.device(self.device))
        return CudaEmbedding(self.library, waits, faults)

    @contextmanager
    def operators(self) -> Iterator[None]:
        """Run the operators and the embedding optimizer on these kernels.

        On a device they do so anyway. In the emulation the tensors are on the CPU, so the choice of
        the kernels is replaced.
        """
        if not self.is_emulated:
            yield
            return

        def embedding(device: torch.device, faults: IdFaults | None = None) -> CudaEmbedding:
            return CudaEmbedding(self.library, waits=False, faults=faults)

        with (
            patch.object(
                interaction_operator, "interaction_kernels", lambda *_: self.interaction()
            ),
            patch.object(embedding_operator, "embedding_kernels", embedding),
            patch.object(embedding_optimizer, "embedding_kernels", embedding),
            patch.object(embedding_optimizer, "id_faults", IdFaults),
        ):
            yield

    def reschedule(self, seed: int) -> None:
        """Run blocks and threads in another order; a device takes one of its own each time."""
        if isinstance(self.library, EmulatedModule):
            self.library.emulate(HOPPER, seed)

    def wait(self) -> None:
        """Until the device has done everything."""
        if not self.is_emulated:
            torch.cuda.synchronize()

    def microseconds(self, work: Callable[[], object]) -> list[float]:
        """The time of each of some calls: by CUDA events, in the emulation by the CPU's clock."""
        if self.is_emulated:
            start = time.perf_counter()
            work()
            return [1e6 * (time.perf_counter() - start)]
        for _ in range(3):
            work()
        pairs = []
        for _ in range(20):
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            before.record()
            work()
            after.record()
            pairs.append((before, after))
        self.wait()
        return [1000 * before.elapsed_time(after) for before, after in pairs]

    def copy_microseconds(self, size: int) -> list[float]:
        """The same of a copy that reads and writes `size` bytes together."""
        source = torch.ones(size // 2, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        return self.microseconds(lambda: target.copy_(source))

    def profile(self, work: Callable[[], object]) -> list[tuple[str, int, float]]:
        """Kernels of the device by name, count and microseconds, longest first; none if torch's
        profiler cannot see the device.

        In the emulation, torch's operators on the CPU instead.
        """
        kinds = torch.profiler.ProfilerActivity
        kind = kinds.CPU if self.is_emulated else kinds.CUDA
        if kind not in torch.profiler.supported_activities():
            return []
        with torch.profiler.profile(activities=[kind]) as seen:
            work()
            self.wait()
        time_of = "self_cpu_time_total" if self.is_emulated else "self_device_time_total"
        events = [(e.key, e.count, float(getattr(e, time_of))) for e in seen.key_averages()]
        return sorted((e for e in events if e[2] > 0), key=lambda event: -event[2])


def median(figures: list[float]) -> float:
    return statistics.median(figures)
