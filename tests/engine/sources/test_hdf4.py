# SPDX-License-Identifier: Apache-2.0
"""The HDF4 reader against pyhdf, on real files and on every layout that pyhdf writes."""

import os
import struct
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chunked_files import rechunk
from granule_files import noise, write_granule, write_hdf4
from numpy.typing import NDArray
from pyhdf.SD import SD, SDC

from rsei.engine.sources import hdf4
from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.grids import Window
from rsei.engine.sources.hdf4 import HDF4File, Request, read_layers
from rsei.engine.sources.products import products
from rsei.engine.sources.sds import Chunks, Stored

DAY = date(2022, 6, 2)
GRANULES = [
    "MOD09A1.A2017193.h18v04.006.2017202035302.hdf",
    "MOD09GA.A2008296.h14v17.006.2015181011753.hdf",
    "MOD13A2.A2016145.h18v04.006.2016166145124.hdf",
]


def same(ours: NDArray[Any], theirs: NDArray[Any]) -> bool:
    return ours.dtype.newbyteorder("=") == theirs.dtype and np.array_equal(ours, theirs)


def assert_identical(path: Path) -> None:
    peer = SD(str(path), SDC.READ)
    with HDF4File(path) as file:
        assert set(file.datasets) == set(peer.datasets())
        for name in file.datasets:
            sds = peer.select(name)
            assert same(file.whole(name), sds.get()), name
            assert file.tags(name) == sds.attributes(), name
        for key, value in peer.attributes().items():
            assert file.attributes[key] == (value.rstrip("\0") if isinstance(value, str) else value)
    peer.end()


@pytest.mark.parametrize("name", GRANULES)
def test_a_real_granule_is_identical_to_pyhdf(real_data: Path, name: str) -> None:
    assert_identical(real_data / "granules" / name)


def test_real_reflectance_is_read_without_the_hdf4_library(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf4, "LIBRARY", None)
    for name in GRANULES:
        with HDF4File(real_data / "granules" / name) as file:
            for layer, dataset in file.datasets.items():
                if len(dataset.shape) == 2:
                    assert isinstance(dataset.layout, Stored | Chunks)
                    file.whole(layer)


@pytest.mark.parametrize("product", ["MOD09A1", "MYD13A1", "MOD11A2"])
@pytest.mark.parametrize("how", ["deflate", "plain", "rle"])
def test_every_layout_is_identical_to_pyhdf(tmp_path: Path, product: str, how: str) -> None:
    path = write_granule(tmp_path, product, DAY, how=how)
    assert_identical(path)
    with HDF4File(path) as file:
        known = {type(dataset.layout) for dataset in file.datasets.values()}
    assert known == {type(None) if how == "rle" else Stored}


@pytest.mark.parametrize("shape", [(7, 12), (20, 30), (1, 30), (32, 64)], ids=str)
@pytest.mark.parametrize("plain", [False, True])
def test_chunks_with_margins_are_identical_to_pyhdf(
    tmp_path: Path, shape: tuple[int, int], plain: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = rechunk(write_granule(tmp_path, "MOD09A1", DAY), shape, plain=plain)
    assert_identical(path)
    monkeypatch.setattr(hdf4, "LIBRARY", None)  # and that without its help
    with HDF4File(path) as file:
        for name in file.datasets:
            file.whole(name)


def test_chunks_that_are_not_there_are_fill_as_in_pyhdf(tmp_path: Path) -> None:
    path = write_granule(tmp_path, "MOD09A1", DAY)
    assert_identical(rechunk(path, (7, 12), keep=lambda row, column: row != 1))


def test_a_window_of_chunks_is_that_part_of_the_whole(tmp_path: Path) -> None:
    path = rechunk(write_granule(tmp_path, "MOD13A1", DAY), (7, 12))
    with HDF4File(path) as file:
        for window in (Window(6, 11, 2, 2), Window(13, 0, 7, 30), Window(19, 29, 1, 1)):
            for name in file.datasets:
                out = np.empty(window.shape, file.dataset(name).dtype)
                file.read(name, window, out)
                rows, columns = window.slices(Window(0, 0, 20, 30))
                assert np.array_equal(out, file.whole(name)[rows, columns])


@pytest.mark.slow
def test_a_full_tile_is_identical_to_pyhdf(tmp_path: Path) -> None:
    arrays = noise(products()["MOD09A1"], (2400, 2400))
    arrays["sur_refl_b01"][:] = np.arange(2400, dtype="int16")[:, None]
    path = write_hdf4(tmp_path / "tile.hdf", arrays, {})
    assert_identical(path)
    assert_identical(rechunk(path, (32, 2400), level=1))


def test_a_granule_that_names_another_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_granule(tmp_path, "MOD11A2", DAY, how="external")
    assert SD(str(path)).select("QC_Day").get().size  # the library would follow it
    with pytest.raises(GranuleError, match="takes them from another file"):
        HDF4File(path)


@pytest.mark.parametrize(
    "window", [Window(0, 0, 73, 66), Window(9, 60, 40, 6), Window(72, 0, 1, 1)]
)
def test_a_window_is_that_part_of_the_whole(real_data: Path, window: Window) -> None:
    for name in GRANULES[:2]:
        with HDF4File(real_data / "granules" / name) as file:
            for layer in [layer for layer, sds in file.datasets.items() if len(sds.shape) == 2]:
                out = np.empty(window.shape, file.dataset(layer).dtype)
                file.read(layer, window, out)
                rows, columns = window.slices(Window(0, 0, *file.dataset(layer).shape))
                assert np.array_equal(out, file.whole(layer)[rows, columns])


def test_chunks_outside_a_window_are_not_inflated(
    real_data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflated: list[int] = []
    genuine = hdf4._inflate

    def counted(data: bytes | memoryview, room: NDArray[np.uint8]) -> int:
        inflated.append(len(room))
        return genuine(data, room)

    monkeypatch.setattr(hdf4, "_inflate", counted)
    with HDF4File(real_data / "granules" / GRANULES[1]) as file:
        window = Window(31, 0, 2, 9)
        file.read("sur_refl_b01_1", window, np.empty(window.shape, ">i2"))
    assert inflated == [32 * 2400 * 2] * 2


@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_threads_change_nothing(real_data: Path, threads: int | None) -> None:
    window = Window(1000, 3, 700, 2200)
    with HDF4File(real_data / "granules" / GRANULES[1]) as file:
        names = [
            name for name in file.datasets if name.startswith("sur_refl") and name.endswith("_1")
        ]
        outs = {name: np.empty(window.shape, "=i2") for name in names}
        read_layers(file, [Request(name, window, outs[name]) for name in names], threads)
        for name in names:
            rows, columns = window.slices(Window(0, 0, 2400, 2400))
            assert np.array_equal(outs[name], file.whole(name)[rows, columns])


def test_arrays_stay_big_endian(real_data: Path) -> None:
    with HDF4File(real_data / "granules" / GRANULES[0]) as file:
        assert file.dataset("sur_refl_b01").dtype == np.dtype(">i2")
        assert file.dataset("sur_refl_qc_500m").dtype == np.dtype(">u4")


# ---- damage


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_granule(tmp_path_factory.mktemp("granule"), "MOD13A1", DAY)


def read_all(path: Path) -> dict[str, NDArray[Any]]:
    with HDF4File(path) as file:
        return {name: file.whole(name) for name in file.datasets} | {
            f"{name} {key}": np.array(str(value))
            for name in file.datasets
            for key, value in file.tags(name).items()
        }


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"<!DOCTYPE html><html><body>Earthdata Login</body></html>", "a web page"),
        (b"\n<HTML><head><title>Sign in</title>", "a web page"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "starts with b'"),
        (b"\x0e\x03\x13\x01", "damage in its descriptors"),
    ],
)
def test_what_is_no_granule_is_named(tmp_path: Path, content: bytes, found: str) -> None:
    path = tmp_path / "MOD09A1.A2022153.h18v04.061.2022162000000.hdf"
    path.write_bytes(content)
    with pytest.raises(GranuleError, match=found) as error:
        HDF4File(path)
    assert path.name in str(error.value) and "download it again" in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match=r"absent\.hdf"):
        HDF4File(tmp_path / "absent.hdf")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_an_error(healthy: Path, tmp_path: Path, share: float) -> None:
    data = healthy.read_bytes()
    path = tmp_path / healthy.name
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(GranuleError, match=healthy.name):
        read_all(path)


def flipped(data: bytes, bit: int, path: Path) -> Path:
    broken = bytearray(data)
    broken[bit // 8] ^= 1 << bit % 8
    path.write_bytes(broken)
    return path


def test_a_flipped_bit_of_metadata_ends_in_values_or_in_a_named_error(
    healthy: Path, tmp_path: Path
) -> None:
    data, rng, caught = healthy.read_bytes(), np.random.default_rng(5), 0
    for bit in rng.choice(len(data) * 8, 400, replace=False):
        try:
            read_all(flipped(data, bit, tmp_path / "broken.hdf"))
        except GranuleError as error:
            assert "broken.hdf" in str(error)
            caught += 1
    assert caught > 100


def test_a_flipped_bit_of_a_stream_is_always_an_error(healthy: Path, tmp_path: Path) -> None:
    data, rng = healthy.read_bytes(), np.random.default_rng(6)
    with HDF4File(healthy) as file:
        layouts = [dataset.layout for dataset in file.datasets.values()]
        places = [file._places[one.element] for one in layouts if isinstance(one, Stored)]
    assert len(places) == 3
    for offset, length in places:
        for bit in rng.choice(length * 8, 60, replace=False):
            path = flipped(data, offset * 8 + bit, tmp_path / "broken.hdf")
            with pytest.raises(GranuleError, match=r"broken\.hdf"):
                read_all(path)


def test_a_flipped_bit_in_a_stream_names_the_layer(healthy: Path, tmp_path: Path) -> None:
    with HDF4File(healthy) as file:
        stored = file.dataset("500m 16 days NDVI").layout
        assert isinstance(stored, Stored)
        offset, length = file._places[stored.element]
    data = bytearray(healthy.read_bytes())
    data[offset + length // 2] ^= 16
    path = tmp_path / "flipped.hdf"
    path.write_bytes(data)
    with HDF4File(path) as file, pytest.raises(GranuleError, match=r"flipped\.hdf.*16 days NDVI"):
        file.whole("500m 16 days NDVI")


def test_a_checksum_that_disagrees_is_an_error(healthy: Path, tmp_path: Path) -> None:
    with HDF4File(healthy) as file:
        stored = file.dataset("500m 16 days VI Quality").layout
        assert isinstance(stored, Stored)
        offset, length = file._places[stored.element]
    data = bytearray(healthy.read_bytes())
    data[offset + length - 1] ^= 1
    path = tmp_path / "checksum.hdf"
    path.write_bytes(data)
    with HDF4File(path) as file, pytest.raises(GranuleError, match="VI Quality"):
        file.whole("500m 16 days VI Quality")


def test_a_declared_size_is_not_believed(healthy: Path, tmp_path: Path) -> None:
    data = healthy.read_bytes()
    form, huge = struct.pack(">II", 20, 30), struct.pack(">II", 20, 30_000_000)
    assert data.count(form) >= 3
    path = tmp_path / "huge.hdf"
    path.write_bytes(data.replace(form, huge))
    with pytest.raises(GranuleError, match=r"huge\.hdf"):
        read_all(path)


def test_descriptor_blocks_in_a_ring_end(healthy: Path, tmp_path: Path) -> None:
    data = bytearray(healthy.read_bytes())
    data[6:10] = struct.pack(">I", 4)
    path = tmp_path / "ring.hdf"
    path.write_bytes(data)
    with pytest.raises(GranuleError, match="ring"):
        HDF4File(path)


def test_a_file_that_is_cut_while_it_is_open_is_named(healthy: Path, tmp_path: Path) -> None:
    path = tmp_path / "cut.hdf"
    path.write_bytes(healthy.read_bytes())
    with HDF4File(path) as file:
        os.truncate(path, 100)
        with pytest.raises(GranuleError, match=r"cut\.hdf: was cut while"):
            file.whole("500m 16 days NDVI")


def test_a_missing_layer_is_named(healthy: Path) -> None:
    with HDF4File(healthy) as file, pytest.raises(GranuleError, match="expected a layer EVI"):
        file.read("EVI", Window(0, 0, 1, 1), np.empty((1, 1)))
