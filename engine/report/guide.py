"""What explains a run folder to people and to QGIS: its README, and the style of its maps."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from matplotlib.colors import to_hex

from .findings import Findings
from .style import RSEI_MAP
from .tables import TABLES

STOPS = 21
"""Colours of a style, evenly from RSEI 0 to 1; QGIS blends between them."""


def readme(findings: Findings) -> bytes:
    """The run folder's README, as Markdown."""
    template = files(__package__).joinpath("readme.md.jinja").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    areas = [(s.name, s.slug, ", ".join(map(str, s.epochs))) for s in findings.sites]
    text = environment.from_string(template).render(
        study=findings.settings["study"]["name"],
        areas=areas,
        warnings=findings.record["warnings"],
        stac=True,
        tables=[TABLES[name] for name in TABLES if name in findings.tables],
        study_file=findings.record["study_file"],
    )
    return text.encode()


def style() -> bytes:
    """The style of a map of RSEI for QGIS: the colours of the figures, from 0 to 1."""
    shades = [(step / (STOPS - 1), to_hex(RSEI_MAP(step / (STOPS - 1)))) for step in range(STOPS)]
    stops = "\n".join(
        f'          <item value="{at:.2f}" label="{at:.2f}" color="{shade}" alpha="255"/>'
        for at, shade in shades
    )
    return f"""<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>
<qgis version="3.22" styleCategories="AllStyleCategories">
  <pipe>
    <rasterrenderer type="singlebandpseudocolor" band="1" opacity="1" alphaBand="-1"
        classificationMin="0" classificationMax="1">
      <rastershader>
        <colorrampshader colorRampType="INTERPOLATED" classificationMode="1" clip="0"
            minimumValue="0" maximumValue="1">
{stops}
        </colorrampshader>
      </rastershader>
    </rasterrenderer>
    <brightnesscontrast brightness="0" contrast="0"/>
    <huesaturation saturation="0"/>
    <rasterresampler maxOversampling="2"/>
  </pipe>
  <blendMode>0</blendMode>
</qgis>
""".encode()
