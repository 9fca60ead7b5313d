# SPDX-License-Identifier: Apache-2.0
"""How QGIS shows a raster of a run, by the style beside it, and what its classes are called."""

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from matplotlib.colors import to_hex

STOPS = 21
"""Colours of a ramp, evenly from its least to its greatest value; QGIS blends between them."""


def ramp(colours: Any, low: float, high: float) -> bytes:
    """The style of a map of numbers: matplotlib's ``colours`` from ``low`` to ``high``."""
    shares = [step / (STOPS - 1) for step in range(STOPS)]
    stops = [(low + share * (high - low), to_hex(colours(share))) for share in shares]
    items = "\n".join(
        f'          <item value="{at:.6g}" label="{at:.3g}" color="{shade}" alpha="255"/>'
        for at, shade in stops
    )
    return _style(f"""\
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1"
        classificationMin="{low:.6g}" classificationMax="{high:.6g}">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0"
            minimumValue="{low:.6g}" maximumValue="{high:.6g}" labelPrecision="3">
{items}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>""")


def classes(names: Sequence[str], colours: Sequence[Any]) -> bytes:
    """The style of a map of classes, which are counted from 1."""
    items = "\n".join(
        f'        <paletteEntry value="{number}" label={quoteattr(name)} color="{to_hex(shade)}"'
        ' alpha="255"/>'
        for number, (name, shade) in enumerate(zip(names, colours), 1)
    )
    return _style(f"""\
    <rasterrenderer type="paletted" band="1" opacity="1" alphaBand="-1">
      <colorPalette>
{items}
      </colorPalette>
    </rasterrenderer>""")


def _style(renderer: str) -> bytes:
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="AllStyleCategories">
  <pipe>
{renderer}
    <brightnesscontrast brightness="0" contrast="0"/>
    <huesaturation saturation="0"/>
    <rasterresampler maxOversampling="2"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
""".encode()


def categories(names: Sequence[str]) -> bytes:
    """GDAL's file beside a raster of classes, counted from 1, that tells what they are called."""
    cells = "".join(f"      <Category>{escape(name)}</Category>\n" for name in ("", *names))
    return f"""<PAMDataset>
  <PAMRasterBand band="1">
    <CategoryNames>
{cells}    </CategoryNames>
  </PAMRasterBand>
</PAMDataset>
""".encode()
