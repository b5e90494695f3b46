"""The emulation of AMX's tiles: known answers of the manual's rules, and what it refuses."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import plumbline.dlrm

SOURCES = Path(plumbline.dlrm.__path__[0]) / "kernels" / "cpu"
PROGRAM = Path(__file__).with_name("tile_product.cpp")
BF16, S8S8, U8S8, INTO_ITSELF = range(4)
C, A, B = range(3)

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    file = tmp_path_factory.mktemp("tiles") / "tile_product.so"
    options = ["-std=gnu++20", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-shared"]
    include = ["-fPIC", "-I", str(SOURCES)]
    subprocess.run(["g++", *options, *include, str(PROGRAM), "-o", str(file)], check=True)
    library = ctypes.CDLL(str(file))
    library.tile_product.restype = library.tiles_twice.restype = ctypes.c_char_p
    return library


def shapes(*tiles: tuple[int, int], **bytes_at: int) -> np.ndarray:
    """The processor's 64 bytes for tiles of (rows, bytes of a row); `b5=1` sets byte 5 to 1."""
    config = np.zeros(64, np.uint8)
    config[0] = 1
    for tile, (rows, row_bytes) in enumerate(tiles):
        config[48 + tile], config[16 + 2 * tile : 18 + 2 * tile] = (
            rows,
            divmod(row_bytes, 256)[::-1],
        )
    for name, value in bytes_at.items():
        config[int(name[1:])] = value
    return config


def product(library: ctypes.CDLL, config: np.ndarray, kind: int, *tiles: np.ndarray) -> np.ndarray:
    """C after the product, 16 rows of 64 bytes, from C, A and B of at most that size."""
    padded = []
    for tile in tiles:
        whole = np.full((16, 64), 0x7F, np.uint8)
        part = np.ascontiguousarray(tile).view(np.uint8)
        whole[: len(part), : part.shape[1]] = part
        padded.append(whole)
    c, a, b = padded
    refused = library.tile_product(
        config.ctypes.data_as(ctypes.c_void_p),
        kind,
        *(tile.ctypes.data_as(ctypes.c_void_p) for tile in (a, b, c)),
    )
    if refused is not None:
        raise RuntimeError(refused.decode())
    return c


def bf16(values: np.ndarray) -> np.ndarray:
    """Float32 numbers that bfloat16 has, as bfloat16."""
    bits = np.asarray(values, np.float32).view(np.uint32)
    assert (bits & 0xFFFF == 0).all()
    return (bits >> 16).astype(np.uint16)


def dot(library: ctypes.CDLL, left: list[float], right: list[float], before: float = 0) -> float:
    """`before` plus the product of a row and a column."""
    a, b = bf16(np.array([left])), bf16(np.array(right).reshape(-1, 2))
    config = shapes((1, 4), (1, a.nbytes), (len(b), 4))
    c = product(library, config, BF16, np.array([[before]], np.float32), a, b)
    return float(c[0, :4].view(np.float32)[0])


@pytest.mark.parametrize(("m", "k", "n"), [(16, 16, 16), (11, 7, 5), (1, 1, 1), (3, 16, 2)])
def test_bf16_products(library, m, k, n):
    """Integers, so that every sum is exact; C keeps nothing past its shape."""
    generator = np.random.default_rng(m)
    a_MK = generator.integers(-50, 50, (m, 2 * k)).astype(np.float32)
    b_KN = generator.integers(-50, 50, (2 * k, n)).astype(np.float32)
    c_MN = generator.integers(-999, 999, (m, n)).astype(np.float32)
    pairs = b_KN.reshape(k, 2, n).transpose(0, 2, 1).reshape(k, 2 * n)
    config = shapes((m, 4 * n), (m, 4 * k), (k, 4 * n))
    got = product(library, config, BF16, c_MN, bf16(a_MK), bf16(pairs))
    assert np.array_equal(got[:m, : 4 * n].copy().view(np.float32), c_MN + a_MK @ b_KN)
    assert (got[m:] == 0x7F).all() and (got[:, 4 * n :] == 0x7F).all(), "stored past the shape"


@pytest.mark.parametrize(("kind", "left"), [(S8S8, np.int8), (U8S8, np.uint8)])
def test_int8_products_wrap_around(library, kind, left):
    generator = np.random.default_rng(1)
    info = np.iinfo(left)
    a_MK = generator.integers(info.min, info.max + 1, (9, 4 * 13)).astype(left)
    b_KN = generator.integers(-128, 128, (4 * 13, 6)).astype(np.int8)
    c_MN = generator.choice(np.array([-(2**31), 2**31 - 1, 0], np.int32), (9, 6))
    fours = b_KN.reshape(13, 4, 6).transpose(0, 2, 1).reshape(13, 24)
    config = shapes((9, 24), (9, 52), (13, 24))
    got = product(library, config, kind, c_MN, a_MK, np.ascontiguousarray(fours))
    wanted = c_MN.astype(np.int64) + a_MK.astype(np.int64) @ b_KN.astype(np.int64)
    assert np.array_equal(got[:9, :24].copy().view(np.int32), wanted.astype(np.int32))


def test_firsts_and_seconds_of_pairs_are_summed_apart(library):
    big = 2.0**24
    assert dot(library, [big, 1, 0, 1], [1, 1, 1, 1]) == big + 2, "not one after the other"
    assert dot(library, [big, 0, 1, 0, 1, 0], [1, 1, 1, 1, 1, 1]) == big, "in the order of k"
    assert dot(library, [1, 0, 1, 0, big, 0], [1, 1, 1, 1, 1, 1]) == big + 2
    assert dot(library, [1, 0], [1, 0], before=big) == big
    assert dot(library, [1, 1], [1, 1], before=big) == big + 2, "the pair's sum before C"


def test_subnormal_numbers_count_as_zero(library):
    least = 2.0**-126
    assert dot(library, [least, 0], [1, 0]) == least
    assert dot(library, [least / 2, 0], [2.0**20, 0]) == 0, "an input"
    assert dot(library, [least, 0], [0.5, 0]) == 0, "a product"
    assert dot(library, [least, 0, least, 0], [1.5, 0, -1, 0]) == 0, "a sum of firsts"
    assert dot(library, [least, least], [1.5, -1]) == 0, "the sum of both"
    assert dot(library, [0, 0], [0, 0], before=least / 2) == 0, "what C was"
    assert dot(library, [least, 0], [-1, 0], before=1.5 * least) == 0, "what C becomes"


def test_what_is_not_finite_stays(library):
    infinity = float("inf")
    assert dot(library, [infinity, 0], [1, 1]) == infinity
    assert np.isnan(dot(library, [infinity, 0], [0, 1]))
    assert np.isnan(dot(library, [1, 0], [1, 1], before=float("nan")))


FULL = (16, 64)


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (shapes(FULL, FULL, FULL, b0=0), "palette 0"),
        (shapes(FULL, FULL, FULL, b7=1), "reserved byte 7"),
        (shapes(FULL, FULL, (17, 64)), "tile 2 of 17 rows"),
        (shapes(FULL, FULL, (16, 68)), "tile 2 of 16 rows of 68 bytes"),
        (shapes(FULL, FULL, (16, 0)), "tile 2 of 16 rows of 0 bytes"),
        (shapes(FULL, FULL, FULL, b56=1), "no tile 8"),
        (shapes(FULL, FULL), "tile 2 has no shape"),
        (shapes(FULL, (15, 64), FULL), "15 × 16 and 16 × 16 entries into 16 × 16"),
        (shapes(FULL, FULL, (15, 64)), "16 × 16 and 15 × 16"),
        (shapes((16, 60), FULL, FULL), "into 16 × 15"),
        (shapes(FULL, (16, 62), (15, 64)), "a product of"),
    ],
)
def test_refuses_what_faults(library, config, says):
    with pytest.raises(RuntimeError, match=says):
        product(library, config, BF16, *[np.zeros(FULL, np.uint8)] * 3)


def test_refuses_a_product_into_an_operand(library):
    with pytest.raises(RuntimeError, match="tiles 0, 0 and 2"):
        product(library, shapes(FULL, FULL, FULL), INTO_ITSELF, *[np.zeros(FULL, np.uint8)] * 3)


def test_a_thread_has_one_configuration(library):
    config = shapes(FULL, FULL, FULL)
    for _ in range(2):
        refused = library.tiles_twice(config.ctypes.data_as(ctypes.c_void_p))
        assert b"configured tiles already" in refused
