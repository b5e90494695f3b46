"""Arrays in a device's memory that other libraries take over by DLPack. Needs no torch.

https://dmlc.github.io/dlpack/latest/c_api.html
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

_FLOAT = 2
"""DLPack's number of the kind of a number; 32 bits of it are a float32."""


class DeviceMemory:
    """Blocks of one device's memory. A block that nobody uses any more is taken again.

    Parameters
    ----------
    module
        `plumbline.dlrm._kernels_cuda`, or the emulated one, whose device is the CPU.
    device
        The device's number.
    """

    def __init__(self, module: ModuleType, device: int) -> None:
        self.module = module
        self.device = device
        self.kind: int = module.memory_kind()
        self._free: defaultdict[int, list[int]] = defaultdict(list)

    def take(self, size: int) -> DeviceBlock:
        """A block of at least `size` bytes, with any content.

        Raises
        ------
        RuntimeError
            The device has not so much.
        """
        size = 1 << max(size - 1, 255).bit_length()
        with suppress(IndexError):  # another thread may be faster
            return DeviceBlock(self, self._free[size].pop(), size)
        address = ctypes.c_void_p()
        self.module.memory_take(self.device, size, ctypes.addressof(address))
        assert address.value is not None
        return DeviceBlock(self, address.value, size)

    def _keep(self, address: int, size: int) -> None:
        self._free[size].append(address)

    def __del__(self) -> None:
        for addresses in self._free.values():
            for address in addresses:
                self.module.memory_return(self.device, address)


class DeviceBlock:
    """A block of memory. It goes back to `memory` when the last array in it is gone."""

    def __init__(self, memory: DeviceMemory, address: int, size: int) -> None:
        self.memory, self.address = memory, address
        self._size = size

    def __del__(self) -> None:
        self.memory._keep(self.address, self._size)


@dataclass(frozen=True, slots=True, eq=False)
class DeviceArray:
    """Rows of float32 numbers on a device, complete, with their copy on the host.

    It has as much of the interface of an array as readers of it need: NumPy reads the copy, and
    takers of DLPack get the device's memory.
    """

    block: DeviceBlock
    host: NDArray[np.float32]
    """The copy, of shape (B, K), without gaps."""
    first: int = 0
    """Number of float32 in the block before this array."""

    @property
    def shape(self) -> tuple[int, ...]:
        return self.host.shape

    def __len__(self) -> int:
        return len(self.host)

    def __getitem__(self, rows: slice) -> DeviceArray:
        """Neighbouring rows, in the same memory."""
        start, stop, step = rows.indices(len(self))
        if step != 1:
            raise ValueError(f"rows of a device's array: wanted neighbouring ones, got {rows}")
        first = self.first + start * self.host[:1].size
        return DeviceArray(self.block, self.host[start:stop], first)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.host)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.host, dtype=dtype, copy=bool(copy))

    def __dlpack_device__(self) -> tuple[int, int]:
        """The kind of the memory, and the device's number."""
        return self.block.memory.kind, self.block.memory.device

    def __dlpack__(self, *, stream: Any = None, **_: Any) -> object:
        """A capsule with the array. Nothing is under way, so no stream has to wait."""
        return _lend(self)


class _Tensor(ctypes.Structure):
    """`DLTensor`."""

    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_kind", ctypes.c_int32),
        ("device_number", ctypes.c_int32),
        ("dimensions", ctypes.c_int32),
        ("kind", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    )


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
"""ctypes takes Python's lock for a call of it, which its caller may not hold."""


class _Managed(ctypes.Structure):
    """`DLManagedTensor`."""

    _fields_ = (("tensor", _Tensor), ("context", ctypes.c_void_p), ("deleter", _Deleter))


_lent: dict[int, tuple[_Managed, Any, DeviceArray]] = {}
"""What is lent, by its address, until the taker gives it back."""

_NAME = ctypes.c_char_p(b"dltensor")
"""Of a capsule that nobody has taken over; whoever does renames it."""
_new_capsule = ctypes.pythonapi.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, _Deleter]
_is_valid = ctypes.pythonapi.PyCapsule_IsValid
_is_valid.restype = ctypes.c_int
_is_valid.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = ctypes.c_void_p
_pointer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]


def _give_back(managed: int) -> None:
    _lent.pop(managed, None)


def _end_capsule(capsule: int) -> None:
    """Gives back what nobody took over."""
    if _is_valid(capsule, _NAME):
        _lent.pop(_pointer(capsule, _NAME), None)


_DELETER, _DESTRUCTOR = _Deleter(_give_back), _Deleter(_end_capsule)


def _lend(array: DeviceArray) -> object:
    sizes = (ctypes.c_int64 * len(array.shape))(*array.shape)
    kind, number = array.__dlpack_device__()
    tensor = _Tensor(
        data=array.block.address + array.first * array.host.itemsize,
        device_kind=kind,
        device_number=number,
        dimensions=len(array.shape),
        kind=_FLOAT,
        bits=8 * array.host.itemsize,
        lanes=1,
        shape=ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64)),
    )
    managed = _Managed(tensor=tensor, deleter=_DELETER)
    address = ctypes.addressof(managed)
    _lent[address] = managed, sizes, array
    return _new_capsule(address, _NAME, _DESTRUCTOR)
