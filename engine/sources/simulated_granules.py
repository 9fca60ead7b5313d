# SPDX-License-Identifier: Apache-2.0
"""HDF4-EOS granules in the products' own form: layers, attributes, metadata blocks, Vgroup tree."""

import datetime as dt
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyhdf.HDF import HC, HDF
from pyhdf.SD import SD, SDC
from pyhdf.V import V

from .errors import GranuleError
from .grids import RADIUS, SINUSOIDAL_1KM, SINUSOIDAL_500M, Lattice, Window, tile_window, tiles
from .simulated_files import written_once

PLATFORMS = {"MOD": "Terra", "MYD": "Aqua"}

TYPES: Mapping[str, int] = {
    "int8": SDC.INT8,
    "uint8": SDC.UINT8,
    "int16": SDC.INT16,
    "uint16": SDC.UINT16,
    "uint32": SDC.UINT32,
}
"""HDF4 number types by NumPy's names."""

CALIBRATED_NT = 5
"""``calibrated_nt``: the number type of unscaled values, as every MODIS land granule states it."""

DEFLATE_LEVEL = 1
"""Fastest: a full granule is written in seconds, and simulated noise hardly compresses."""


@dataclass(frozen=True)
class LayerForm:
    """One scientific data set, as the archive's granules describe it."""

    name: str
    dtype: str
    valid: tuple[int, int]
    units: str
    long_name: str
    fill: int | None = None
    scale: float | None = None
    offset: float = 0.0


@dataclass(frozen=True)
class ProductForm:
    """The form of a product's files."""

    name: str
    """ESDT name without collection, such as ``MOD09A1``."""

    grid: str
    """Name of its HDF-EOS grid."""

    lattice: Lattice
    """Its pixels."""

    period_days: int
    title: str
    layers: tuple[LayerForm, ...]
    """In file order."""


@cache
def product_form(name: str) -> ProductForm:
    """The form of a Terra or Aqua product, such as ``MOD09A1``.

    >>> product_form("MYD11A2").layers[0].name
    'LST_Day_1km'
    """
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
    if name[:3] not in PLATFORMS or name[3:] not in table:
        raise GranuleError(f"expected MOD or MYD and one of {sorted(table)}, found {name!r}")
    row = table[name[3:]]
    layers = tuple(LayerForm(**{**x, "valid": tuple(x["valid"])}) for x in row["layers"])
    lattice = SINUSOIDAL_500M if row["pixel"] == 500 else SINUSOIDAL_1KM
    title = f"MODIS/{PLATFORMS[name[:3]]} {row['title']}"
    return ProductForm(name, row["grid"], lattice, row["period_days"], title, layers)


@dataclass(frozen=True)
class Header:
    """What names a granule: product, collection, first day, and the pixels it holds."""

    product: str
    """ESDT name and collection, such as ``MOD09A1.061``."""

    date: dt.date
    """First day of the period."""

    window: Window
    """Pixels of the product's own lattice, all in one tile."""

    @property
    def form(self) -> ProductForm:
        """The form of the product's files."""
        return product_form(self.product.split(".")[0])

    @property
    def collection(self) -> str:
        """Three digits, such as ``061``."""
        return self.product.split(".")[1]

    @property
    def tile(self) -> str:
        """The one tile that holds the window; GranuleError where it touches several."""
        touched = tiles(self.window, self.form.lattice)
        if len(touched) != 1:
            raise GranuleError(f"expected a window within one tile, found pixels of {touched}")
        return touched[0]

    @property
    def produced(self) -> dt.datetime:
        """A production time 12 days after the period's end, always the same."""
        second = (self.date.toordinal() * 7919 + sum(self.tile.encode()) * 331) % 86400
        day = dt.datetime.combine(self.date, dt.time()) + dt.timedelta(self.form.period_days + 12)
        return day + dt.timedelta(seconds=second)

    @property
    def file_name(self) -> str:
        """The archive's file name: product, date, tile, collection, production time."""
        made = f"{self.produced:%Y%j%H%M%S}"
        name, number = self.product.split(".")
        return f"{name}.A{self.date:%Y%j}.{self.tile}.{number}.{made}.hdf"


def write_granule(folder: Path, header: Header, layers: Mapping[str, NDArray[Any]]) -> Path:
    """Write one granule under its archive name and return its path; an existing one is kept.

    ``layers`` holds stored values, (h, w) of the header's window, by data set name; those left out
    are all fill. Raises GranuleError for a layer of another shape, type or name.
    """
    unknown = set(layers) - {layer.name for layer in header.form.layers}
    if unknown:
        raise GranuleError(f"expected layers of {header.form.name}, found {sorted(unknown)}")

    def write(path: Path) -> None:
        _write_groups(path, header.form.grid, _write_layers(path, header, layers))

    return written_once(folder / header.file_name, write)


def _write_layers(path: Path, header: Header, layers: Mapping[str, NDArray[Any]]) -> list[int]:
    """The data sets and the file's attributes; the references of the data sets."""
    file = SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    references = []
    for form in header.form.layers:
        data = file.create(form.name, TYPES[form.dtype], header.window.shape)
        for axis, name in enumerate(("YDim", "XDim")):
            data.dim(axis).setname(f"{name}:{header.form.grid}")
        data.setcompress(SDC.COMP_DEFLATE, DEFLATE_LEVEL)
        _describe(data, form)
        data[:] = _pixels(form, header.window, layers.get(form.name))
        references.append(data.ref())
        data.endaccess()
    for name, text in metadata(header).items():
        file.attr(name).set(SDC.CHAR8, text)
    file.end()
    return references


def _pixels(form: LayerForm, window: Window, values: NDArray[Any] | None) -> NDArray[Any]:
    """The layer's stored values, contiguous; all fill where none are given."""
    if values is None:
        return np.full(window.shape, form.fill or 0, form.dtype)
    if values.shape != window.shape or values.dtype != form.dtype:
        raise GranuleError(
            f"expected {window.shape} {form.dtype} in {form.name}, "
            f"found {values.shape} {values.dtype}"
        )
    return np.ascontiguousarray(values)


def _describe(data: Any, form: LayerForm) -> None:
    """Attributes of one data set, in the archive's order."""
    kind = TYPES[form.dtype]
    data.attr("long_name").set(SDC.CHAR8, form.long_name)
    data.attr("units").set(SDC.CHAR8, form.units)
    data.attr("valid_range").set(kind, list(form.valid))
    if form.fill is not None:
        data.attr("_FillValue").set(kind, form.fill)
    if form.scale is not None:
        data.attr("scale_factor").set(SDC.FLOAT64, form.scale)
        data.attr("scale_factor_err").set(SDC.FLOAT64, 0.0)
        data.attr("add_offset").set(SDC.FLOAT64, form.offset)
        data.attr("add_offset_err").set(SDC.FLOAT64, 0.0)
        data.attr("calibrated_nt").set(SDC.INT32, CALIBRATED_NT)


def _write_groups(path: Path, grid: str, references: list[int]) -> None:
    """The tree of Vgroups by which HDF-EOS libraries find the grid."""
    file = HDF(str(path), HC.WRITE)
    groups = V(file)
    top = groups.create(grid)
    top._class = "GRID"
    fields = groups.create("Data Fields")
    attributes = groups.create("Grid Attributes")
    fields._class = attributes._class = "GRID Vgroup"
    for reference in references:
        fields.add(HC.DFTAG_NDG, reference)
    top.insert(fields)
    top.insert(attributes)
    for group in (attributes, fields, top):
        group.detach()
    groups.end()
    file.close()


def metadata(header: Header) -> dict[str, str]:
    """The file's own attributes: HDF-EOS version, structure, inventory and archive metadata."""
    return {
        "HDFEOSVersion": "HDFEOS_V2.19",
        "StructMetadata.0": _structure(header),
        "CoreMetadata.0": _block("INVENTORYMETADATA", _inventory(header)),
        "ArchiveMetadata.0": _block("ARCHIVEDMETADATA", {"LONGNAME": header.form.title}),
    }


def _structure(header: Header) -> str:
    """StructMetadata: the grid's name, size, corners, sphere and fields."""
    form, window = header.form, header.window
    left, bottom, right, top = form.lattice.bounds(window)
    fields = "".join(
        f'\t\t\tOBJECT=DataField_{number}\n\t\t\t\tDataFieldName="{layer.name}"\n'
        f"\t\t\t\tDataType=DFNT_{layer.dtype.upper()}\n"
        f'\t\t\t\tDimList=("YDim","XDim")\n'
        f"\t\t\tEND_OBJECT=DataField_{number}\n"
        for number, layer in enumerate(form.layers, 1)
    )
    return (
        "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n"
        f'\t\tGridName="{form.grid}"\n\t\tXDim={window.width}\n\t\tYDim={window.height}\n'
        f"\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})\n"
        f"\t\tLowerRightMtrs=({right:.6f},{bottom:.6f})\n"
        f"\t\tProjection=GCTP_SNSOID\n\t\tProjParams=({RADIUS:.6f},0,0,0,0,0,0,0,0,0,0,0,0)\n"
        "\t\tSphereCode=-1\n\t\tGridOrigin=HDFE_GD_UL\n"
        "\t\tGROUP=Dimension\n\t\tEND_GROUP=Dimension\n"
        f"\t\tGROUP=DataField\n{fields}\t\tEND_GROUP=DataField\n"
        "\t\tGROUP=MergedFields\n\t\tEND_GROUP=MergedFields\n\tEND_GROUP=GRID_1\n"
        "END_GROUP=GridStructure\nGROUP=PointStructure\nEND_GROUP=PointStructure\nEND\n"
    )


def _inventory(header: Header) -> dict[str, str | int]:
    """The inventory fields that readers ask for."""
    last = header.date + dt.timedelta(header.form.period_days - 1)
    whole = header.window == tile_window(header.tile, header.form.lattice)
    return {
        "LOCALGRANULEID": header.file_name,
        "DAYNIGHTFLAG": "Day",
        "PRODUCTIONDATETIME": f"{header.produced:%Y-%m-%dT%H:%M:%S}.000Z",
        "SHORTNAME": header.form.name,
        "VERSIONID": int(header.collection),
        "RANGEBEGINNINGTIME": "00:00:00.000000",
        "RANGEENDINGTIME": "23:59:59.000000",
        "RANGEBEGINNINGDATE": f"{header.date:%Y-%m-%d}",
        "RANGEENDINGDATE": f"{last:%Y-%m-%d}",
        "ASSOCIATEDPLATFORMSHORTNAME": PLATFORMS[header.form.name[:3]],
        "+HORIZONTALTILENUMBER": header.tile[1:3],
        "+VERTICALTILENUMBER": header.tile[4:6],
        "+PROCESSVERSION": "simulated" if whole else "simulated subset",
    }


def _block(name: str, fields: Mapping[str, str | int]) -> str:
    """One block of ODL text; a name after ``+`` becomes an additional attribute."""
    text = "".join(
        _additional(number, key[1:], value) if key.startswith("+") else _object(key, value)
        for number, (key, value) in enumerate(fields.items(), 1)
    )
    return f"\nGROUP = {name}\n  GROUPTYPE = MASTERGROUP\n\n{text}END_GROUP = {name}\n\nEND\n"


def _object(name: str, value: str | int, more: str = "") -> str:
    """One object with its value; text stands in quotes."""
    shown = f'"{value}"' if isinstance(value, str) else value
    return (
        f"  OBJECT = {name}\n{more}    NUM_VAL = 1\n    VALUE = {shown}\n  END_OBJECT = {name}\n\n"
    )


def _additional(number: int, name: str, value: str | int) -> str:
    """An additional attribute: the container in which the tile's numbers stand."""
    count = f'    CLASS = "{number}"\n'
    return (
        f"  OBJECT = ADDITIONALATTRIBUTESCONTAINER\n{count}"
        f"{_object('ADDITIONALATTRIBUTENAME', name, count)}"
        f"  GROUP = INFORMATIONCONTENT\n{count}{_object('PARAMETERVALUE', value, count)}"
        "  END_GROUP = INFORMATIONCONTENT\n  END_OBJECT = ADDITIONALATTRIBUTESCONTAINER\n\n"
    )
