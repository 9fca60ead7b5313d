# SPDX-License-Identifier: Apache-2.0
"""Virtual rasters that a run writes: several files as one, for a GIS. A run itself reads none."""

from collections.abc import Mapping
from xml.sax.saxutils import escape

import rasterio

from .geotiff import BLOCK, Form
from .grids import Lattice, Window


def virtual(sources: Mapping[str, Window], lattice: Lattice, form: Form) -> str:
    """The text of a VRT of float rasters, each by its path from the VRT; equal for equal input.

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
            f'  <VRTRasterBand dataType="Float32" band="{number}">',
            f"    <Description>{escape(name)}</Description>",
            *([f"    <UnitType>{escape(form.units[number - 1])}</UnitType>"] if form.units else []),
            "    <NoDataValue>nan</NoDataValue>",
            *(_source(path, window, whole, number) for path, window in sorted(sources.items())),
            "  </VRTRasterBand>",
        ]
    levels = " ".join(map(str, overviews(whole)))
    lines += [f'  <OverviewList resampling="average">{levels}</OverviewList>'] if levels else []
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


def _source(path: str, window: Window, whole: Window, band: int) -> str:
    size = f'xSize="{window.width}" ySize="{window.height}"'
    rows, columns = window.slices(whole)
    return (
        "    <ComplexSource>\n"
        f'      <SourceFilename relativeToVRT="1">{escape(path)}</SourceFilename>\n'
        f"      <SourceBand>{band}</SourceBand>\n"
        f'      <SrcRect xOff="0" yOff="0" {size}/>\n'
        f'      <DstRect xOff="{columns.start}" yOff="{rows.start}" {size}/>\n'
        "      <NODATA>nan</NODATA>\n"
        "    </ComplexSource>"
    )
