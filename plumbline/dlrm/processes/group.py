"""The processes that train one model, and the messages between them.

Tensors go through torch.distributed: gloo on a CPU, NCCL on GPUs, and gloo there too for what is in
host memory. torch.distributed does not encrypt and asks nobody for a name: its network has to be
trusted.
"""

from __future__ import annotations

import ctypes
import os
import re
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.rendezvous import rendezvous

from plumbline.base.device import Device
from plumbline.base.errors import ConfigError, PlumblineError
from plumbline.base.exit_status import INTERRUPTED, USER_ERROR
from plumbline.dlrm.data.loader import Member
from plumbline.dlrm.processes.place import Place

PEER_LOST = 3
"""Exit status of a process whose peer has ended. It prints nothing: the cause is there."""

_LONGEST = timedelta(days=30)
"""How long the others wait for the first one to read and encode the log."""
_LONGEST_MESSAGE = timedelta(hours=2)
"""How long a process waits for a message; if its peer ends, it knows at once."""

_WORK, _ERRORS = "plumbline/work", "plumbline/errors"
_LOST = re.compile(r"gloo|NCCL|Connection (closed|reset)|Broken pipe", re.IGNORECASE)
_PR_SET_PDEATHSIG = 1


class Group:
    """This process among `place.count`. Every process calls the methods in the same order.

    Before `open`, the processes have a store of texts in common, which torchrun's agent keeps.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self._store, _, _ = next(rendezvous("env://", timeout=_LONGEST))
        self._host: dist.ProcessGroup | None = None
        self.device = torch.device("cpu")

    @property
    def leads(self) -> bool:
        """Whether this is the first process, which runs the command."""
        return self.place.rank == 0

    @property
    def member(self) -> Member:
        return Member(self.place.rank, self.place.count)

    def give_work(self, text: str) -> None:
        """Hand the other processes their work, or nothing, once."""
        self._store.set(_WORK, text)

    def wait_for_work(self) -> str:
        """What the first process gave; empty if there is nothing to do."""
        self._store.wait([_WORK], _LONGEST)
        return bytes(self._store.get(_WORK)).decode()

    def is_first_error(self) -> bool:
        """Whether no other process has asked this before: only one prints its error."""
        return int(self._store.add(_ERRORS, 1)) == 1

    def open(self, device: Device) -> None:
        """Begin to send tensors; `device` is that of the model.

        Raises
        ------
        ConfigError
            The machine has fewer GPUs than processes.
        """
        rank, count = self.place.rank, self.place.count
        if device == "cuda":
            if self.place.local_count > torch.cuda.device_count():
                raise ConfigError(
                    f"{self.place.local_count} processes on this machine: wanted a GPU for each, "
                    f"found {torch.cuda.device_count()}. Start as many processes as GPUs."
                )
            torch.cuda.set_device(self.place.local_rank)
            self.device = torch.device("cuda", self.place.local_rank)
        backend = "gloo" if device == "cpu" else "nccl"
        dist.init_process_group(
            backend, store=self._store, rank=rank, world_size=count, timeout=_LONGEST_MESSAGE
        )
        self._host = dist.group.WORLD
        if device == "cuda":
            self._host = dist.new_group(backend="gloo", timeout=_LONGEST_MESSAGE)

    def close(self) -> None:
        if dist.is_initialized():
            dist.destroy_process_group()

    def wait(self) -> None:
        """Until every process is here."""
        dist.barrier(group=self._host)

    def sum_(self, tensor: Tensor) -> Tensor:
        """The sum over all processes, in place; on the model's device."""
        dist.all_reduce(tensor)
        return tensor

    def broadcast_(self, tensor: Tensor) -> Tensor:
        """The first process' tensor, in place; on the host, of one shape everywhere."""
        dist.broadcast(tensor, src=0, group=self._host)
        return tensor

    def gathered(self, tensor: Tensor) -> list[Tensor]:
        """Every process' tensor, in order; on the host, one-dimensional, of any length."""
        lengths = torch.zeros(self.place.count, dtype=torch.int64)
        lengths[self.place.rank] = len(tensor)
        dist.all_reduce(lengths, group=self._host)
        longest = int(lengths.max())
        padded = torch.zeros(longest, dtype=tensor.dtype)
        padded[: len(tensor)] = tensor
        received = [torch.empty_like(padded) for _ in range(self.place.count)]
        dist.all_gather(received, padded, group=self._host)
        return [one[: int(length)] for one, length in zip(received, lengths, strict=True)]


@contextmanager
def joined(place: Place) -> Iterator[Group]:
    """This process' place in the group while the block runs.

    If several processes meet an error that a user can act on, one of them raises it and the others
    exit without a word. So does a process whose peer has ended: the cause is there.
    """
    _end_with_parent()
    group = Group(place)
    try:
        yield group
    except PlumblineError:
        if not group.is_first_error():
            sys.exit(USER_ERROR)
        raise
    except KeyboardInterrupt:  # what started the processes tells of it
        sys.exit(INTERRUPTED)
    except RuntimeError as error:
        if not _LOST.search(str(error)):
            raise
        sys.exit(PEER_LOST)
    finally:
        group.close()


def _end_with_parent() -> None:
    """Have this process killed when torchrun's agent ends, even by a kill; Linux only."""
    parent = os.getppid()
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except AttributeError:
        return
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)
