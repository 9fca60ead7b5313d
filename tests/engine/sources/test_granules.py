# SPDX-License-Identifier: Apache-2.0
"""The catalogue of a folder, and reading, on granules written by pyhdf."""

import pickle
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from appeears_files import appeears
from granule_files import write_granule
from hypothesis import given, settings
from hypothesis import strategies as st

from rsei.engine.sources.errors import GranuleError
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, tile_window
from rsei.engine.sources.products import products

DAY = date(2022, 6, 2)


BANDS = ["red", "nir", "blue", "green", "nir2", "swir1", "swir2"]


@given(st.tuples(*[st.integers(-40, 40)] * 2, *[st.integers(1, 45)] * 2), st.booleans())
@settings(max_examples=30)
def test_any_window_is_part_of_the_whole_and_fill_outside(
    folder: Path, box: tuple[int, int, int, int], given_out: bool
) -> None:
    for product in ("MOD09A1", "MOD11A2"):
        granule = catalogue(folder).of(product)[0]
        window = Window(granule.window.top + box[0], granule.window.left + box[1], *box[2:])
        layers = products()[product].layers
        names = [layer.name for layer in layers]
        out = {layer.name: np.zeros(window.shape, layer.dtype) for layer in layers}
        arrays = read(granule, names, window, out if given_out else None)
        whole = read(granule, names, granule.window)
        for layer in layers:
            expected = np.full((200, 200), layer.outside, layer.dtype)
            expected[80:100, 80:110] = whole[layer.name]
            top, left = 80 + box[0], 80 + box[1]
            part = expected[top : top + window.height, left : left + window.width]
            assert np.array_equal(arrays[layer.name], part)
            assert not given_out or arrays[layer.name] is out[layer.name]


def test_the_fill_of_a_quality_word_without_one_means_not_produced() -> None:
    assert products()["MOD11A2"].layer("lst_qc").outside & 3 == 3


def test_reading_into_part_of_a_stack(folder: Path) -> None:
    granules = catalogue(folder).of("MOD09A1")
    window = granules[0].window
    stack = np.zeros((2, 7, *window.shape), ">i2")
    for t, granule in enumerate(granules):
        read(granule, BANDS, window, {name: stack[t, b] for b, name in enumerate(BANDS)})
        for b, name in enumerate(BANDS):
            assert np.array_equal(stack[t, b], read(granule, [name], window)[name])


def test_an_output_of_another_type_is_refused(folder: Path) -> None:
    granule = catalogue(folder).of("MOD09A1")[0]
    with pytest.raises(TypeError, match="expected int16"):
        read(granule, ["red"], granule.window, {"red": np.zeros(granule.window.shape, "int32")})


def test_a_folder_is_searched_below_and_other_files_are_counted(folder: Path) -> None:
    found = catalogue(folder)
    assert [(one.product, one.date.timetuple().tm_yday) for one in found.granules] == [
        ("MOD09A1", 153), ("MOD09A1", 161), ("MOD11A2", 153), ("MOD13A1", 161),
    ]  # fmt: skip
    assert [path.name for path in found.skipped] == ["README.txt"]
    assert found.lattice == SINUSOIDAL_500M and found.tiles == ("h27v05",)
    assert pickle.loads(pickle.dumps(found)) == found


def test_links_are_followed_and_cycles_end(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(folder)
    (tmp_path / "again").symlink_to(folder)
    (tmp_path / "cycle").symlink_to(tmp_path)
    (tmp_path / "broken.hdf").symlink_to(tmp_path / "absent")
    found = catalogue(tmp_path)
    assert len(found.granules) == 4 and not found.replaced and not found.bad


def test_one_content_under_two_names_is_two_files(tmp_path: Path) -> None:
    first = appeears(tmp_path / "store", "MOD09A1", "red", np.zeros((20, 30), "int16"))
    content = first.rename(tmp_path / "store" / "object")
    for band in ("b01", "b02"):
        name = f"MOD09A1.061_sur_refl_{band}_doy2022161_aid0001.tif"
        (tmp_path / name).symlink_to(content)
    (granule,) = catalogue(tmp_path).granules
    assert [source.layer for source in granule.sources] == ["red", "nir"]


def test_the_newest_production_wins_and_the_loser_is_recorded(tmp_path: Path) -> None:
    old = write_granule(tmp_path, "MOD09A1", DAY, produced="2022170000000")
    new = write_granule(tmp_path / "later", "MOD09A1", DAY, produced="2022180000000")
    found = catalogue(tmp_path)
    assert [one.files for one in found.granules] == [(new,)]
    assert found.replaced == ((old, new),)


def test_subsets_side_by_side_are_both_kept(tmp_path: Path) -> None:
    corner = tile_window("h27v05")
    for k in range(2):
        window = Window(corner.top + 100, corner.left + 40 * k, 20, 30)
        write_granule(tmp_path / str(k), "MOD09A1", DAY, window=window)
    assert len(catalogue(tmp_path).granules) == 2


def test_mixed_collections_are_an_error_unless_allowed(tmp_path: Path) -> None:
    write_granule(tmp_path, "MOD09A1", DAY, collection="061")
    old = write_granule(tmp_path, "MOD09A1", DAY, collection="006", produced="2030001000000")
    write_granule(tmp_path, "MOD09A1", DAY + timedelta(8), collection="006")
    with pytest.raises(GranuleError, match=r"collection 061, found 2 of 006.*mixed_collections"):
        catalogue(tmp_path)
    found = catalogue(tmp_path, mixed_collections=True)
    assert [one.collection for one in found.granules] == ["061", "006"]
    assert [loser for loser, _ in found.replaced] == [old]


def test_missing_granules_are_a_matrix_of_dates_and_tiles(tmp_path: Path) -> None:
    days = list(products()["MOD09A1"].dates(2022))[19:23]
    for tile, held in (("h27v05", days[:3]), ("h27v04", days[1:])):
        for day in held:
            write_granule(tmp_path, "MOD09A1", day, tile=tile)
    found = catalogue(tmp_path)
    assert found.tiles == ("h27v04", "h27v05")
    assert found.presence("MOD09A1", days).T.tolist() == [
        [False, *[True] * 3],
        [*[True] * 3, False],
    ]
    assert found.missing("MOD09A1", days) == ((days[0], "h27v04"), (days[3], "h27v05"))


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(GranuleError, match="absent: expected a folder of granules"):
        catalogue(tmp_path / "absent")
