"""The 64-bit hash of `pandas.util.hash_array`, computed without pandas.

Integers and float64 bits are hashed by SplitMix64's finaliser. The UTF-8 bytes of text are hashed
by SipHash-2-4 (Aumasson and Bernstein, 2012) with pandas' key, and then by the finaliser. A missing
integer and an empty string are hashed like other values here; `plumbline.columns.value_hash` has
pandas' hash of nulls.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from plumbline.base.native import native, uses_native
from plumbline.columns.splitmix64 import finalised
from plumbline.columns.values import Text

SIP_KEY = b"0123456789123456"


def hash_integers(values: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The hash of each integer: int64 (N,) of any stride to uint64 (N,).

    >>> hash_integers(np.array([0, 1]))
    array([                  0, 6238072747940578789], dtype=uint64)
    """
    if not uses_native():
        return finalised(np.ascontiguousarray(values).view(np.uint64))
    hashes = np.empty(len(values), np.uint64)
    native.hash_integers(values, hashes)
    return hashes


def hash_numbers(values: NDArray[np.float64]) -> NDArray[np.uint64]:
    """The hash of each number's bits: float64 (N,) of any stride to uint64 (N,).

    0.0 and -0.0 differ, and so do NaNs of different bits.
    """
    if not uses_native():
        return finalised(np.ascontiguousarray(values).view(np.uint64))
    hashes = np.empty(len(values), np.uint64)
    native.hash_numbers(values, hashes)
    return hashes


def hash_text(text: Text) -> NDArray[np.uint64]:
    """The hash of each string, uint64 (N,).

    >>> hash_text(Text.from_objects([b"a"]))
    array([13950350942979735504], dtype=uint64)
    """
    if not uses_native():
        return finalised(_sip_hashes(text))
    hashes = np.empty(len(text), np.uint64)
    native.hash_text(text.offsets, text.data, hashes)
    return hashes


def text_words(text: Text) -> NDArray[np.uint64]:
    """The strings as little-endian words of eight bytes, padded with zeros, uint64 (N, W).

    W has room for the longest string and at least one more byte.
    """
    lengths = np.diff(text.offsets)
    width = int(lengths.max(initial=0)) // 8 + 1
    bytes_ = np.zeros((len(text), width * 8), np.uint8)
    filled = np.arange(width * 8) < lengths[:, None]
    bytes_[filled] = text.data[text.offsets[0] : text.offsets[-1]]
    return bytes_.view("<u8").astype(np.uint64, copy=False)


def _sip_hashes(text: Text) -> NDArray[np.uint64]:
    words = text_words(text)
    lengths = np.diff(text.offsets).astype(np.uint64)
    last = (lengths // np.uint64(8)).astype(np.int64)
    words[np.arange(len(text)), last] |= lengths << np.uint64(56)
    key = np.frombuffer(SIP_KEY, "<u8")
    start = (0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573)
    state = [np.full(len(text), key[i % 2] ^ np.uint64(start[i]), np.uint64) for i in range(4)]
    for index in range(words.shape[1]):
        word = words[:, index]
        mixed = list(state)
        mixed[3] = mixed[3] ^ word
        mixed = _rounds(mixed, 2)
        mixed[0] = mixed[0] ^ word
        has_word = index <= last
        state = [np.where(has_word, new, old) for new, old in zip(mixed, state, strict=True)]
    state[2] = state[2] ^ np.uint64(0xFF)
    a, b, c, d = _rounds(state, 4)
    return a ^ b ^ c ^ d


def _rounds(state: list[NDArray[np.uint64]], times: int) -> list[NDArray[np.uint64]]:
    a, b, c, d = state
    for _ in range(times):
        a = a + b
        b = _rotate(b, 13) ^ a
        a = _rotate(a, 32)
        c = c + d
        d = _rotate(d, 16) ^ c
        a = a + d
        d = _rotate(d, 21) ^ a
        c = c + b
        b = _rotate(b, 17) ^ c
        c = _rotate(c, 32)
    return [a, b, c, d]


def _rotate(values: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    return values << np.uint64(bits) | values >> np.uint64(64 - bits)
