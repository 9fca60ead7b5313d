# SPDX-License-Identifier: Apache-2.0
"""Virtual rasters that a run writes: several files as one, for a GIS. A run itself reads none."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

import rasterio

from .geotiff import BLOCK, Form
from .grids import Lattice, Window

TYPES = {"float32": "Float32", "uint8": "Byte"}
"""GDAL's names of stored numbers."""


def virtual(sources: Mapping[str, Window], lattice: Lattice, form: Form) -> str:
    """The text of a VRT of rasters of one form, by their paths from the VRT; equal for equal input.

    It has overviews of half, a quarter ... of the size, which are read from those of the files.
    Source: GDAL, VRT driver, https://gdal.org/drivers/raster/vrt.html.
    """
    windows = list(sources.values())
    whole = windows[0]
    for window in windows[1:]:
        whole |= window
    transform = ", ".join(repr(float(one)) for one in lattice.transform(whole).to_gdal())
    crs = rasterio.crs.CRS.from_user_input(lattice.crs).to_wkt()
    lines = [
        f'<VRTDataset rasterXSize="{whole.width}" rasterYSize="{whole.height}">',
        f"  <SRS>{escape(crs)}</SRS>",
        f"  <GeoTransform>{transform}</GeoTransform>",
    ]
    for number, name in enumerate(form.names, 1):
        lines += [
            f'  <VRTRasterBand dataType="{TYPES[form.dtype]}" band="{number}">',
            f"    <Description>{escape(name)}</Description>",
            *([f"    <UnitType>{escape(form.units[number - 1])}</UnitType>"] if form.units else []),
            f"    <NoDataValue>{_missing(form):g}</NoDataValue>",
            *_colours(form),
            *(_source(path, one, whole, number, form) for path, one in sorted(sources.items())),
            "  </VRTRasterBand>",
        ]
    levels = " ".join(map(str, overviews(whole)))
    how = "mode" if form.colours else "average"
    lines += [f'  <OverviewList resampling="{how}">{levels}</OverviewList>'] if levels else []
    return "\n".join([*lines, "</VRTDataset>"]) + "\n"


def overviews(window: Window) -> list[int]:
    """Factors of the overviews, until the smallest fits into a block.

    >>> overviews(Window(0, 0, 4800, 2400))
    [2, 4, 8, 16, 32]
    """
    found: list[int] = []
    side = max(window.shape)
    while side > BLOCK * (found[-1] if found else 1):
        found.append(2 * (found[-1] if found else 1))
    return found


def _missing(form: Form) -> float:
    """The stored value of a pixel without one."""
    return 0 if form.nodata is None else form.nodata


def _colours(form: Form) -> list[str]:
    """The colour of each class; none of a raster without classes."""
    if form.colours is None:
        return []
    entries = (
        "      <Entry "
        + " ".join(f'c{place}="{part}"' for place, part in enumerate(form.colours[number], 1))
        + "/>"
        for number in sorted(form.colours)
    )
    palette = "    <ColorInterp>Palette</ColorInterp>", "    <ColorTable>"
    return [*palette, *entries, "    </ColorTable>"]


def _source(path: str, window: Window, whole: Window, band: int, form: Form) -> str:
    size = f'xSize="{window.width}" ySize="{window.height}"'
    rows, columns = window.slices(whole)
    return (
        "    <ComplexSource>\n"
        f'      <SourceFilename relativeToVRT="1">{escape(path)}</SourceFilename>\n'
        f"      <SourceBand>{band}</SourceBand>\n"
        f'      <SrcRect xOff="0" yOff="0" {size}/>\n'
        f'      <DstRect xOff="{columns.start}" yOff="{rows.start}" {size}/>\n'
        f"      <NODATA>{_missing(form):g}</NODATA>\n"
        "    </ComplexSource>"
    )
