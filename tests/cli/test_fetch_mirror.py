# SPDX-License-Identifier: Apache-2.0
"""``rsei fetch --stac``: cloud-optimised GeoTIFFs of a mirror, one file a layer."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import archive_server as server
import pytest
import studies
from archive_server import Archive, serving
from commands import rsei
from fetched import town
from rasterio.io import MemoryFile

from rsei.engine.run import reading, survey
from rsei.engine.sources import download, link
from rsei.engine.sources.archive import Question
from rsei.engine.sources.granules import catalogue, read
from rsei.engine.sources.link import Link
from rsei.engine.sources.mirror import PLANETARY, SIGN, Mirror, inner_point, records_of
from rsei.engine.sources.patience import Patience, Rejected
from rsei.engine.sources.products import plain, products

STUDY = town(("06-09", "06-16"), 39.98)
"""In tile h27v05; a date of each product."""

IDENTITY = "MOD09A1.A2012161.h27v05.061.2021212041320"


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Short waits, and no login at all."""
    patience = Patience(tries=3, connect=30, read=30, pause=0.01, longest=0.3)
    monkeypatch.setattr(link, "PATIENCE", patience)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("EARTHDATA_TOKEN", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))


@pytest.fixture
def archive(monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    found = Archive(login=False, page=3)
    with serving(found) as base:
        monkeypatch.setenv("RSEI_STAC", f"{base}/stac")
        yield found


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    path.write_text(STUDY)
    return path


def stored(product: str) -> list[str]:
    return [plain(layer.stored) for layer in products()[product].layers]


def tiff(text: str) -> bytes:
    return b"II*\0" + text.encode() * 50


def fill(archive: Archive, **asset: Any) -> dict[str, bytes]:
    """The items of the study, and of its neighbourhood; the files that a fetch makes of them."""
    made: dict[str, bytes] = {}
    for product in ("MOD09A1", "MOD13A1", "MOD11A2"):
        for day, tile in (("A2012161", "h27v05"), ("A2012161", "h27v04"), ("A2012169", "h27v05")):
            for own in (product, product.replace("MOD", "MYD")):
                identity = f"{own}.{day}.{tile}.061.2021212041320"
                layers = {name: tiff(f"{identity} {name}") for name in stored(product)}
                archive.add_layers(identity, layers, **asset)
                if own == product and (day, tile) == ("A2012161", "h27v05"):
                    made |= {f"{identity}.{name}.tif": data for name, data in layers.items()}
    return made


def fetched(study: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (study.parent / "granules").rglob("*.tif")}


def test_layers_come_one_by_one(archive: Archive, study: Path) -> None:
    made = fill(archive)
    assert len(made) == 9 + 3 + 3
    result = rsei("fetch", study)
    assert result.exit_code == 0, result.output
    assert fetched(study) == made
    assert "15 of unknown size" in result.stdout
    before = archive.count()
    again = rsei("fetch", study)
    assert again.exit_code == 0 and "complete: nothing was asked for" in again.stdout
    assert archive.count() == before


def test_addresses_are_signed_when_they_are_used(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = fill(archive)
    archive.signing = True
    monkeypatch.setenv("RSEI_STAC_SIGN", f"{archive.base}/sign")
    assert rsei("fetch", study).exit_code == 0
    assert fetched(study) == made
    manifest = (study.parent / "granules" / "fetched.jsonl").read_text()
    assert "s1gned" not in manifest and archive.tokens == []


def test_an_unsigned_address_is_said_to_fail(archive: Archive, study: Path) -> None:
    fill(archive)
    archive.signing = True
    result = rsei("fetch", study)
    assert result.exit_code == 1 and "status 409" in result.stderr


def test_the_item_s_size_and_checksum_are_compared(archive: Archive, study: Path) -> None:
    archive.page = 100
    layers = {name: tiff(name) for name in stored("MOD09A1")}
    sums = {name: "1220" + hashlib.sha256(data).hexdigest() for name, data in layers.items()}
    archive.add_layers(IDENTITY, layers)
    for name in layers:
        asset = archive.features[0]["assets"][name]
        asset |= {"file:size": len(layers[name]), "file:checksum": sums[name]}
    archive.features[0]["assets"]["sur_refl_b03"]["file:checksum"] = "1220" + "0" * 64
    greens = 'greenness = "bands"\nheat = { raster = "t.tif", units = "K", range = [250, 330] }'
    study.write_text(STUDY.replace("[[area]]", f"[indicators]\n{greens}\n[[area]]"))
    result = rsei("fetch", study)
    assert result.exit_code == 1
    assert "sur_refl_b03.tif" in result.stderr and "expected SHA-256 0000" in result.stderr
    assert len(fetched(study)) == 8


def test_a_web_page_is_no_geotiff(archive: Archive, study: Path) -> None:
    fill(archive)
    archive.faults[f"{IDENTITY}_sur_refl_b01.tif"] = [server.page] * 9
    archive.faults[f"{IDENTITY}_sur_refl_b02.tif"] = [server.body(b"busy, try later")] * 9
    result = rsei("fetch", study)
    assert result.exit_code == 1 and len(fetched(study)) == 13
    assert "found a web page" in result.stderr
    assert "expected the first bytes of a GeoTIFF" in result.stderr


def test_every_page_of_a_search_is_read(archive: Archive, study: Path) -> None:
    made = fill(archive)
    archive.page = 1
    archive.faults["search"] = [server.status(503), server.body(b"{}")]
    assert json.loads(rsei("fetch", study, "--dry-run", "--json").stdout)["files"] == [
        {"name": name, "size": None, "here": False} for name in in_order(made)
    ]


def in_order(made: dict[str, bytes]) -> list[str]:
    return sorted(made, key=lambda name: (name.split(".")[0], name.split(".")[5]))


def test_another_server_is_no_stac_api(archive: Archive, study: Path) -> None:
    archive.faults["search"] = [server.body(b'{"features": [3], "links": 5}')] * 9
    result = rsei("fetch", study)
    assert result.exit_code == 4 and "expected a STAC API" in result.stderr


@pytest.mark.parametrize(("name", "value"), [("", "file:///x"), ("_SIGN", "nowhere")])
def test_an_address_that_is_none(
    archive: Archive, study: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RSEI_STAC{name}", value)
    result = rsei("fetch", study)
    assert result.exit_code == 2 and "expected an HTTP address" in result.stderr


QUESTION = Question("MOD09A1", "061", ("h27v05",), ())


@pytest.mark.parametrize(
    "item",
    [
        None,
        3,
        {},
        {"id": IDENTITY},
        {"id": IDENTITY, "assets": 3},
        {"id": "../../x", "assets": {"sur_refl_b01": {"href": "https://h/x"}}},
        {"id": f"{IDENTITY}/..", "assets": {"sur_refl_b01": {"href": "https://h/x"}}},
        {"id": IDENTITY.replace("MOD", "MYD"), "assets": {"sur_refl_b01": {"href": "https://h/x"}}},
    ],
)
def test_an_item_of_another_form_is_left_out(item: Any) -> None:
    assert list(records_of(item, QUESTION)) == []


@pytest.mark.parametrize("assets", [{"sur_refl_b01": {"href": "file:///x"}}, {"sur_refl_b01": 3}])
def test_a_layer_without_an_address_cannot_be_had(assets: Any, tmp_path: Path) -> None:
    first, *_ = found = list(records_of({"id": IDENTITY, "assets": assets}, QUESTION))
    assert [record.url for record in found] == [""] * 9
    with pytest.raises(Rejected, match=r"sur_refl_b01.*found none"):
        download.fetch(Link(), first, tmp_path / "x", tmp_path)


def test_the_planetary_computer_signs_its_own(archive: Archive) -> None:
    assert Mirror.of(PLANETARY).sign == SIGN
    assert Mirror.of("https://elsewhere.org/stac/").sign is None
    other = Link(signer=f"{archive.base}/sign")
    archive.faults["sign"] = [server.body(b'{"href": "https://evil.org/x"}')]
    with pytest.raises(Rejected, match=r"was sent to https://evil\.org/x"):
        other.signed(f"{archive.base}/data/x.tif")


@pytest.mark.parametrize(
    ("tile", "point"), [("h18v04", (5 / 0.70710678, 45)), ("h27v05", (95 / 0.81915204, 35))]
)
def test_a_tile_is_asked_for_by_its_centre(tile: str, point: tuple[float, float]) -> None:
    assert inner_point(tile) == pytest.approx(point, abs=1e-4)
    assert all(-180 <= inner_point(edge)[0] <= 180 for edge in ("h10v02", "h35v08", "h23v01"))


@pytest.mark.slow
def test_what_was_fetched_reads_as_the_granule_does(
    archive: Archive, study: Path, tmp_path: Path
) -> None:
    """GeoTIFFs made of simulated granules give the pixels that the granules themselves give."""
    made = catalogue(studies.write_all(tmp_path / "made"))
    ours = [g for g in made.granules if (g.tile, f"{g.date:%Y%j}") == ("h27v05", "2012161")]
    assert len(ours) == 3
    for granule in ours:
        names = [source.layer for source in granule.sources]
        names = [name for name in names if name in {x.name for x in layers_of(granule.product)}]
        pixels = read(granule, names, granule.window)
        transform = granule.lattice.transform(granule.window)
        layers = {}
        for layer in layers_of(granule.product):
            data = pixels[layer.name].astype(layer.dtype)
            with MemoryFile() as memory:
                with memory.open(
                    driver="GTiff", dtype=data.dtype, count=1, crs=granule.lattice.crs,
                    height=data.shape[0], width=data.shape[1], transform=transform, tiled=True,
                    compress="deflate", nodata=layer.fill,
                ) as file:  # fmt: skip
                    file.write(data, 1)
                layers[plain(layer.stored)] = memory.read()
        archive.add_layers(granule.files[0].name.removesuffix(".hdf"), layers)
    assert rsei("fetch", study).exit_code == 0
    found = survey.survey(reading.load(study))
    theirs = [g for shelf in found.shelves.values() for own in shelf.granules.values() for g in own]
    assert len(theirs) == 3
    for granule in theirs:
        twin = next(one for one in ours if one.product == granule.product)
        assert (granule.lattice, granule.window) == (twin.lattice, twin.window)
        names = [layer.name for layer in layers_of(granule.product)]
        window = found.shelves["h27v05", 2012].window
        if granule.lattice != found.lattice:
            window = granule.lattice.covering(window, found.lattice)
        one, other = read(granule, names, window), read(twin, names, window)
        assert all((one[name] == other[name]).all() for name in names)


def layers_of(product: str) -> Any:
    return products()[product].layers
