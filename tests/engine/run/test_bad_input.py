# SPDX-License-Identifier: Apache-2.0
"""Bad input ends in a clear error or a named quarantine; nothing committed is lost."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import rasterio
import studies
from crashing_library import deaths, recoded

from rsei.engine.run.journal import failures
from rsei.engine.run.orders import RunOptions
from rsei.engine.run.pipeline import run, status
from rsei.engine.run.reading import load
from rsei.engine.run.reporting import CatalogueTask
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey
from rsei.engine.run.tasks import carry_out
from rsei.engine.sources import hdf4
from rsei.engine.sources.errors import (
    BoundaryError,
    GranuleError,
    InputError,
    MachineError,
    RasterError,
    RseiError,
    StudyError,
)
from rsei.engine.sources.grids import SINUSOIDAL_500M, Window, carrier
from rsei.engine.sources.hdf4_library import Library


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some weeks of two epochs."""
    return studies.write_some(tmp_path_factory.mktemp("granules"))


TWO = 'name = "small"\nout = "run"\nepochs = [2012, 2013]'


def written(folder: Path, source: Path, /, **changes: str) -> Path:
    """The study file, of the first epoch alone unless it is changed."""
    one = 'name = "small"\nout = "run"\nepochs = [2012]'
    return studies.written(folder, source, **{"study": one} | changes)


def copied(granules: Path, folder: Path) -> Path:
    """The granules again, as links that a test may replace by files of its own."""
    folder.mkdir()
    for path in granules.iterdir():
        (folder / path.name).symlink_to(path)
    return folder


def victim(folder: Path) -> Path:
    return min(folder.glob("MOD09A1.A2012201*.hdf"))


def truncated(path: Path) -> bytes:
    return path.read_bytes()[: path.stat().st_size // 2]


def flipped(path: Path) -> bytes:
    """One bit turned in the middle of the largest layer's stream."""
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 0x10
    return bytes(data)


DAMAGE: dict[str, Callable[[Path], bytes]] = {
    "truncated": truncated,
    "empty": lambda path: b"",
    "login page": lambda path: b"<!DOCTYPE html><html><title>Earthdata Login</title></html>",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_damaged_granule_is_an_error_unless_skipped(
    kind: str, granules: Path, tmp_path: Path
) -> None:
    folder = copied(granules, tmp_path / "granules")
    bad = victim(folder)
    data = DAMAGE[kind](bad)
    bad.unlink()
    bad.write_bytes(data)
    with pytest.raises(InputError, match=bad.name):
        studies.run(written(tmp_path, folder))
    rows = list(csv.DictReader((tmp_path / "run/quarantine.csv").read_text().splitlines()))
    assert [row["file"] for row in rows] == [bad.name]
    assert rows[0]["reason"].startswith("expected ") and str(tmp_path) not in rows[0]["reason"]
    assert bad.read_bytes() == data  # named, never moved or deleted
    skip = f'path = "{folder}"\nreach = 0\non_bad_granule = "skip"'
    outcome = studies.run(written(tmp_path, folder, granules=skip))
    assert outcome.exit_code == 1
    assert [path.name for path, _ in outcome.skipped] == [bad.name]
    assert any("quarantine.csv" in warning for warning in outcome.warnings)
    table = pd.read_csv(outcome.out / "tables/coverage.csv")
    assert len(table[table.status == "bad"]) == 1


def test_flipped_bit_is_found_by_its_checksum(granules: Path, tmp_path: Path) -> None:
    folder = copied(granules, tmp_path / "granules")
    bad = victim(folder)
    data = flipped(bad)
    bad.unlink()
    bad.write_bytes(data)
    skip = f'path = "{folder}"\nreach = 0\non_bad_granule = "skip"'
    outcome = studies.run(written(tmp_path, folder, granules=skip), until="partial")
    assert [path.name for path, _ in outcome.skipped] == [bad.name]
    (reason,) = (reason for _, reason in outcome.skipped)
    assert "download" in reason or "get" in reason


@pytest.mark.parametrize(
    ("times", "workers"), [(1, 1), (1000, 1), pytest.param(1000, 2, marks=pytest.mark.slow)]
)
def test_a_granule_that_crashes_its_library_is_retried_and_quarantined(
    times: int, workers: int, granules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hdf4, "LIBRARY", Library())  # started in this environment
    folder = copied(granules, tmp_path / "granules")
    crasher = victim(folder)
    data = crasher.read_bytes()
    crasher.unlink()
    crasher.write_bytes(data)
    recoded(crasher)
    skip = f'path = "{folder}"\nreach = 0\non_bad_granule = "skip"'
    file = written(tmp_path, folder, granules=skip)
    with deaths(tmp_path / "site", times):
        outcome = studies.run(file, until="composite", workers=workers)
    assert not outcome.failed
    assert [path.name for path, _ in outcome.skipped] == ([crasher.name] if times > 1 else [])
    assert all("SIGSEGV" in reason for _, reason in outcome.skipped)
    assert outcome.exit_code == (1 if times > 1 else 0)


@pytest.mark.slow
def test_leaving_a_granule_out_is_as_if_it_were_missing(granules: Path, tmp_path: Path) -> None:
    folder = copied(granules, tmp_path / "granules")
    bad = victim(folder)
    bad.unlink()
    without = studies.run(written(tmp_path / "a", folder)).out
    bad.write_bytes(b"")
    skip = f'path = "{folder}"\nreach = 0\non_bad_granule = "skip"'
    skipped = studies.run(written(tmp_path / "b", folder, granules=skip)).out
    for name in ("rsei/small-town/2012.tif", "composites/small-town/2012.tif", "tables/pca.csv"):
        assert (without / name).read_bytes() == (skipped / name).read_bytes()


def test_name_and_metadata_disagree(granules: Path, tmp_path: Path) -> None:
    folder = copied(granules, tmp_path / "granules")
    one = victim(folder)
    other = one.with_name(one.name.replace(".A2012", ".A2013").replace(".061.2", ".061.3"))
    shutil.copy(one, other)
    with pytest.raises(InputError, match=other.name):
        studies.run(written(tmp_path, folder, study=TWO))


def test_a_missing_band(granules: Path, tmp_path: Path, real_data: Path) -> None:
    folder = tmp_path / "granules"
    folder.mkdir()
    for path in (real_data / "munich-2022").glob("*.tif"):
        if not ("b03" in path.name and "2022201" in path.name):
            (folder / path.name).symlink_to(path)
    changes = {
        "study": 'name = "m"\nout = "run"\nepochs = [2022]',
        "indicators": f'greenness = "bands"\nheat = {{ raster = "{real_data}/munich-2022/'
        'heat-stand-in/era5_t2m_{year}_{month:02d}.tif", range = [250, 330] }',
        "area": 'name = "M"\nbounds = [11.2, 47.95, 11.8, 48.3]',
    }
    with pytest.raises(GranuleError, match="sur_refl_b03"):
        studies.run(written(tmp_path, folder, **changes))


def test_another_collection(granules: Path, tmp_path: Path) -> None:
    section = f'path = "{granules}"\nreach = 0\ncollection = "006"'
    with pytest.raises(GranuleError, match="collection 006, found"):
        studies.run(written(tmp_path, granules, granules=section))


def test_no_granule_of_the_season(granules: Path, tmp_path: Path) -> None:
    section = f'path = "{granules}"\nreach = 0\nseason = ["01-01", "02-28"]'
    with pytest.raises(InputError, match=r"01-01 to 02-28.*found"):
        studies.run(written(tmp_path, granules, granules=section))


def test_a_year_without_data(granules: Path, tmp_path: Path) -> None:
    study = 'name = "small"\nout = "run"\nepochs = [2012, 2019]'
    with pytest.raises(InputError, match="epoch 2019"):
        studies.run(written(tmp_path, granules, study=study))


def test_no_granule_of_a_product(granules: Path, tmp_path: Path) -> None:
    folder = copied(granules, tmp_path / "copy")
    for path in folder.glob("MOD11A2.*"):
        path.unlink()
    with pytest.raises(InputError, match=r"heat granules \(MOD11A2 or MYD11A2\).*indicators\.heat"):
        survey(load(written(tmp_path, folder)))


def test_an_epoch_without_a_product_is_told_of(granules: Path, tmp_path: Path) -> None:
    folder = copied(granules, tmp_path / "copy")
    for path in folder.glob("MOD13A1.A2012*"):
        path.unlink()
    said = "epoch 2012: no greenness granule of 2012: none of its pixels can be valid"
    assert said in survey(load(written(tmp_path, folder, study=TWO))).warnings


def test_area_outside_the_tiles(granules: Path, tmp_path: Path) -> None:
    area = 'name = "Elsewhere"\nbounds = [11.0, 47.0, 12.0, 48.0]'
    with pytest.raises(BoundaryError, match="Elsewhere"):
        studies.run(written(tmp_path, granules, area=area))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"type":"FeatureCollection","features":[]}', "found none"),
        ("not json", "GeoJSON"),
    ],
)
def test_bad_boundary(text: str, reason: str, granules: Path, tmp_path: Path) -> None:
    (tmp_path / "b.geojson").write_text(text)
    area = 'name = "B"\nboundary = "b.geojson"'
    with pytest.raises(BoundaryError, match=reason):
        studies.run(written(tmp_path, granules, area=area))


def test_all_pixels_masked(granules: Path, tmp_path: Path) -> None:
    quality = 'preset = "standard"\n[quality.fields.state]\ncloud = [2]\nshadow = [1]'
    with pytest.raises(InputError, match="Small town, epoch 2012: expected valid pixels"):
        studies.run(written(tmp_path, granules, quality=quality))
    assert (tmp_path / "run/indicators/small-town/2012.tif").exists()


def raster(path: Path, values: np.ndarray) -> None:
    window = studies.WINDOW
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "nodata": np.nan}
    place = {"crs": SINUSOIDAL_500M.crs, "transform": SINUSOIDAL_500M.transform(window)}
    height, width = window.shape
    with rasterio.open(path, "w", height=height, width=width, **profile, **place) as file:
        file.write(values.astype(np.float32), 1)


def test_a_constant_indicator_fails_its_epoch_alone(granules: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    raster(tmp_path / "heat_2012.tif", np.full(studies.WINDOW.shape, 300.0))
    raster(tmp_path / "heat_2013.tif", 300 + rng.random(studies.WINDOW.shape))
    heat = f'heat = {{ raster = "{tmp_path}/heat_{{epoch}}.tif", range = [250, 350] }}'
    outcome = studies.run(written(tmp_path, granules, study=TWO, indicators=heat))
    assert outcome.exit_code == 1
    assert all("2012" in task and "lst" in reason for task, reason in outcome.failed)
    assert outcome.failed
    assert pd.read_csv(outcome.out / "tables/pca.csv").epoch.tolist() == [2013]
    assert not (outcome.out / "rsei/small-town/2012.tif").exists()


def test_a_users_raster_that_is_missing(granules: Path, tmp_path: Path) -> None:
    heat = f'heat = {{ raster = "{tmp_path}/heat_{{year}}.tif", range = [250, 350] }}'
    with pytest.raises(RasterError, match=r"heat_2012\.tif"):
        studies.run(written(tmp_path, granules, indicators=heat))


def test_one_area_fails_and_the_others_go_on(granules: Path, tmp_path: Path) -> None:
    # a corner of the window where the user's raster is constant
    corner = Window(studies.WINDOW.bottom - 6, studies.WINDOW.right - 6, 4, 4)
    pixels = (SINUSOIDAL_500M.x(corner), SINUSOIDAL_500M.y(corner))
    lon, lat = carrier(SINUSOIDAL_500M.crs, "OGC:CRS84").transform(*pixels)
    pond = [float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())]
    two = (
        f'name = "Small town"\nbounds = {list(studies.BOUNDS)}\n'
        f'[[area]]\nname = "Pond"\nbounds = {pond}\n'
    )
    quality = 'preset = "standard"'
    raster_ = np.full(studies.WINDOW.shape, 290.0)
    raster_[:, :30] += np.random.default_rng(1).random((studies.WINDOW.height, 30))
    raster(tmp_path / "heat.tif", raster_)
    heat = f'heat = {{ raster = "{tmp_path}/heat.tif", range = [250, 350] }}'
    outcome = studies.run(written(tmp_path, granules, area=two, indicators=heat, quality=quality))
    assert outcome.exit_code == 1
    assert {task.split()[-1].split("/")[0] for task, _ in outcome.failed} == {"pond"}
    assert set(pd.read_csv(outcome.out / "tables/pca.csv").area) == {"Small town"}
    store = Store(outcome.out)
    carry_out(CatalogueTask(), store)
    found = status(outcome.out, why=True)
    told = dict(found.why)
    for task, reason in outcome.failed:
        assert told[task][0] == "not made yet" and told[task][1].endswith(reason)
    assert found.written == ("analyse tables", "report catalogue")
    assert told["analyse tables"] == (
        "written of what there is, to be written again with the rest",
    )
    next((outcome.out / "tables").glob("pca.csv")).unlink()
    assert "analyse tables" not in status(outcome.out, why=False).written


def told(file: Path) -> tuple[list[str], str]:
    """What is said of failures while a study is run, and what the run ends with."""
    watcher = studies.Silent()
    with pytest.raises(RseiError) as ended:
        run(load(file), RunOptions(until="analyse"), watcher)
    return [line for line in watcher.said if line.startswith("failed: ")], str(ended.value)


def test_the_only_failure_is_told_once(granules: Path, tmp_path: Path) -> None:
    heat = f'heat = {{ raster = "{tmp_path}/heat_{{epoch}}.tif", range = [250, 350] }}'
    raster(tmp_path / "heat_2012.tif", np.full(studies.WINDOW.shape, 300.0))
    file = written(tmp_path, granules, indicators=heat)
    said, end = told(file)
    assert said == [] and end.startswith("reduce small-town: ") and "more failed" not in end
    log = [json.loads(line) for line in (tmp_path / "run/log.jsonl").read_text().splitlines()]
    (failed,) = [line for line in log if line["event"] == "failed"]
    assert failed["task"] == "small-town" and end.endswith(failed["reason"])


def test_of_several_failures_the_end_tells_the_first_and_how_many(
    granules: Path, tmp_path: Path
) -> None:
    heat = f'heat = {{ raster = "{tmp_path}/heat_{{epoch}}.tif", range = [250, 350] }}'
    raster(tmp_path / "heat_2012.tif", np.full(studies.WINDOW.shape, 300.0))
    west, south, east, north = studies.BOUNDS
    middle = (west + east) / 2
    boxes = {"West": [west, south, middle, north], "East": [middle, south, east, north]}
    area = "\n[[area]]\n".join(f'name = "{name}"\nbounds = {box}' for name, box in boxes.items())
    said, end = told(written(tmp_path, granules, area=area, indicators=heat))
    assert len(said) == 2 and f"failed: {end}" == f"{said[0]} (and 1 more failed)"


def test_a_failure_is_told_until_its_task_is_done(tmp_path: Path) -> None:
    logs = tmp_path / "store/logs"
    logs.mkdir(parents=True)
    late = {"time": "2026-01-02", "stage": "write", "task": "a/2001"}
    early = late | {"time": "2026-01-01"}
    (logs / "shard-0-of-2.jsonl").write_text(
        json.dumps(late | {"event": "failed", "reason": "no disk"}) + "\n"
    )
    (logs / "shard-1-of-2.jsonl").write_text(json.dumps(early | {"event": "done"}) + '\n{"ti')
    assert failures(Store(tmp_path)) == {"write a/2001": "failed at 2026-01-02: no disk"}
    (tmp_path / "log.jsonl").write_text(
        json.dumps(late | {"time": "2026-01-03", "event": "done"}) + "\n"
    )
    assert failures(Store(tmp_path)) == {}


def test_a_read_only_folder(granules: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    study = 'name = "small"\nout = "file/run"\nepochs = [2012]'
    with pytest.raises(MachineError, match=r"file"):
        studies.run(written(tmp_path, granules, study=study))


def test_a_folder_of_another_study(granules: Path, tmp_path: Path) -> None:
    studies.run(written(tmp_path, granules), limit=1)
    study = 'name = "other"\nout = "run"\nepochs = [2012]'
    with pytest.raises(StudyError, match="'small'"):
        studies.run(written(tmp_path, granules, study=study))


def test_text_named_as_a_raster(granules: Path, tmp_path: Path) -> None:
    (tmp_path / "heat.tif").write_text("<VRTDataset><SourceFilename>/etc/passwd")
    heat = f'heat = {{ raster = "{tmp_path}/heat.tif", range = [250, 350] }}'
    with pytest.raises(RasterError, match=r"heat\.tif"):
        studies.run(written(tmp_path, granules, indicators=heat))


def test_mines_of_another_place(granules: Path, tmp_path: Path) -> None:
    square = [[11.0, 48.0], [11.1, 48.0], [11.1, 48.1], [11.0, 48.0]]
    shape = {"type": "Polygon", "coordinates": [square]}
    feature = {"type": "Feature", "properties": {}, "geometry": shape}
    text = json.dumps({"type": "FeatureCollection", "features": [feature]})
    (tmp_path / "mines.geojson").write_text(text)
    area = f'name = "Small town"\nbounds = {list(studies.BOUNDS)}\nmines = "mines.geojson"'
    with pytest.raises(
        BoundaryError, match=r"expected mines to meet the area at .*119.* found .*11"
    ):
        studies.run(written(tmp_path, granules, area=area))
    assert (tmp_path / "run/rsei/small-town/2012.tif").exists()
