# SPDX-License-Identifier: Apache-2.0
"""Small granules in the products' own file formats, written by other people's libraries."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyhdf.SD import SD, SDC

from rsei.engine.sources.grids import SINUSOIDAL_1KM, SINUSOIDAL_500M, Lattice, Window, tile_window
from rsei.engine.sources.products import Product, products

CODES = {
    "int8": SDC.INT8, "uint8": SDC.UINT8, "int16": SDC.INT16, "uint16": SDC.UINT16,
    "int32": SDC.INT32, "uint32": SDC.UINT32, "float32": SDC.FLOAT32, "float64": SDC.FLOAT64,
}  # fmt: skip
EOS = {"int8": "INT8", "uint8": "UINT8", "int16": "INT16", "uint16": "UINT16", "uint32": "UINT32"}


def noise(product: Product, shape: tuple[int, int], seed: int = 0) -> dict[str, NDArray[Any]]:
    """Stored values of every layer, over the whole range of its type, by stored name."""
    rng = np.random.default_rng(seed)
    return {
        layer.stored: rng.integers(
            np.iinfo(layer.dtype).min, np.iinfo(layer.dtype).max, shape, layer.dtype, True
        )
        for layer in product.layers
    }


def lattice_of(product: Product) -> Lattice:
    return SINUSOIDAL_500M if product.pixel == 500 else SINUSOIDAL_1KM


def struct_metadata(lattice: Lattice, window: Window, fields: Mapping[str, str]) -> str:
    left, bottom, right, top = lattice.bounds(window)
    listed = "".join(
        f'\t\t\tOBJECT=DataField_{k}\n\t\t\t\tDataFieldName="{name}"\n'
        f'\t\t\t\tDataType=DFNT_{EOS.get(dtype, "FLOAT32")}\n\t\t\t\tDimList=("YDim","XDim")\n'
        f"\t\t\tEND_OBJECT=DataField_{k}\n"
        for k, (name, dtype) in enumerate(fields.items(), 1)
    )
    return (
        "GROUP=SwathStructure\nEND_GROUP=SwathStructure\nGROUP=GridStructure\n\tGROUP=GRID_1\n"
        f'\t\tGridName="Grid"\n\t\tXDim={window.width}\n\t\tYDim={window.height}\n'
        f"\t\tUpperLeftPointMtrs=({left:.6f},{top:.6f})\n"
        f"\t\tLowerRightMtrs=({right:.6f},{bottom:.6f})\n\t\tProjection=GCTP_SNSOID\n"
        "\t\tProjParams=(6371007.181000,0,0,0,0,0,0,0,0,0,0,0,0)\n\t\tSphereCode=-1\n"
        f"\t\tGridOrigin=HDFE_GD_UL\n\t\tGROUP=DataField\n{listed}\t\tEND_GROUP=DataField\n"
        "\tEND_GROUP=GRID_1\nEND_GROUP=GridStructure\nEND\n"
    )


def core_metadata(name: str, day: date, collection: str, tile: str) -> str:
    def item(key: str, value: str) -> str:
        return (
            f"    OBJECT                 = {key}\n      NUM_VAL              = 1\n"
            f"      VALUE                = {value}\n    END_OBJECT             = {key}\n"
        )

    def extra(key: str, value: str) -> str:
        return item("ADDITIONALATTRIBUTENAME", f'"{key}"') + item("PARAMETERVALUE", f'"{value}"')

    return (
        "\nGROUP                  = INVENTORYMETADATA\n  GROUPTYPE            = MASTERGROUP\n"
        + item("LOCALGRANULEID", f'"{name}"')
        + item("RANGEBEGINNINGDATE", f'"{day.isoformat()}"')
        + item("SHORTNAME", f'"{name.split(".")[0]}"')
        + item("VERSIONID", str(int(collection[1:]) if collection[1:] != "61" else 61))
        + extra("HORIZONTALTILENUMBER", tile[1:3])
        + extra("VERTICALTILENUMBER", tile[4:6])
        + "END_GROUP              = INVENTORYMETADATA\nEND\n"
    )


def granule_name(
    product: str, day: date, tile: str, collection: str = "061", produced: str = "2023001000000"
) -> str:
    return f"{product}.A{day:%Y%j}.{tile}.{collection}.{produced}.hdf"


def write_sds(file: SD, name: str, array: NDArray[Any], tags: Mapping[str, Any], how: str) -> None:
    sds = file.create(name, CODES[array.dtype.name], array.shape)
    sds.dim(0).setname(f"YDim:Grid_{array.shape[0]}")
    sds.dim(1).setname(f"XDim:Grid_{array.shape[1]}")
    if how == "deflate":
        sds.setcompress(SDC.COMP_DEFLATE, 6)
    elif how == "rle":
        sds.setcompress(SDC.COMP_RLE)
    elif how == "external":
        sds.setexternalfile("values.bin", 0)
    for key, value in tags.items():
        code = SDC.FLOAT64 if isinstance(value, float) else CODES[array.dtype.name]
        sds.attr(key).set(SDC.CHAR8 if isinstance(value, str) else code, value)
    sds[:] = array
    sds.endaccess()


def write_hdf4(
    path: Path,
    arrays: Mapping[str, NDArray[Any]],
    attributes: Mapping[str, str],
    tags: Mapping[str, Mapping[str, Any]] | None = None,
    how: str = "deflate",
) -> Path:
    """Any two-dimensional arrays as the SDSs of an HDF4 file."""
    file = SD(str(path), SDC.WRITE | SDC.CREATE | SDC.TRUNC)
    for name, array in arrays.items():
        write_sds(file, name, array, (tags or {}).get(name, {}), how)
    for key, text in attributes.items():
        file.attr(key).set(SDC.CHAR8, text)
    file.end()
    return path


def write_granule(folder: Path, product: str, day: date, **changes: Any) -> Path:
    """A granule as NASA writes it; ``changes`` say where it differs from the rule.

    tile, collection, produced, window, arrays, tags, how; core, struct: the metadata's text;
    core_day, core_tile: what the metadata says.
    """
    known = products()[product]
    tile, lattice = changes.get("tile", "h27v05"), lattice_of(known)
    corner = tile_window(tile, lattice)
    window = changes.get("window", Window(corner.top, corner.left, 20, 30))
    arrays = changes.get("arrays") or noise(known, window.shape)
    collection = changes.get("collection", "061")
    name = granule_name(product, day, tile, collection, changes.get("produced", "2023001000000"))
    own_day, own_tile = changes.get("core_day", day), changes.get("core_tile", tile)
    tags: dict[str, dict[str, Any]] = {}
    for layer in known.layers:
        tags[layer.stored] = {"long_name": layer.stored, "units": layer.units}
        if layer.fill is not None:
            tags[layer.stored]["_FillValue"] = int(layer.fill)
        if layer.kind != "quality":
            tags[layer.stored] |= {"scale_factor": layer.scale, "add_offset": layer.offset}
    fields = {key: array.dtype.name for key, array in arrays.items()}
    attributes = {
        "HDFEOSVersion": "HDFEOS_V2.19",
        "StructMetadata.0": changes.get("struct", struct_metadata(lattice, window, fields)),
        "CoreMetadata.0": changes.get("core", core_metadata(name, own_day, collection, own_tile)),
    }
    for key, value in changes.get("tags", {}).items():
        tags[key] = tags[key] | value
    folder.mkdir(parents=True, exist_ok=True)
    how = changes.get("how", "deflate")
    return write_hdf4(folder / changes.get("name", name), arrays, attributes, tags, how)
