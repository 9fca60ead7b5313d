# SPDX-License-Identifier: Apache-2.0
"""The text of a new study file, made from the settings types, so that it cannot fall behind."""

import json
import textwrap
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from .driver_settings import DriverLayers
from .study import AreaSettings, Study, models

WIDTH = 96
"""Characters of a line of comment."""

INTRODUCTION = """\
# A study of the remote sensing ecological index. Paths are relative to this file.
# Without a # stands what has to be filled in, and every default; `rsei plan` checks the file.
"""

EXAMPLES: dict[str, Any] = {
    "platforms": ["terra"],
    "fields": {"state": {"cloud": [0, 3], "shadow": [0]}},
    "land_cover": {"raster": "lc_{year}.tif", "classes": [17, 11]},
    "reference": 2001,
    "limits_table": "limits.csv",
    "loadings_table": "loadings.csv",
    "name_field": "NAME",
    "bounds": [117.8, 39.4, 118.6, 40.0],
    "tiles": ["h26v04", "h27v05"],
    "by_tile": True,
    "mines": "mines.gpkg",
    "coast": "coast.gpkg",
    "zones": "districts.gpkg",
    "zones_field": "NAME",
    "published": "published.csv",
    "sample": 100_000,
    "device_memory": "16 GiB",
}
"""What a key without a default may be."""

LAYERS = {"dem": "dem.tif", "prec": {"months": "prec_{year}_{month:02d}.tif"}, "gdp": "gdp.tif"}
"""Layers shown in the section of the drivers."""


def skeleton() -> str:
    """A commented study file, TOML; it is a legal study as it stands."""
    parts = [INTRODUCTION]
    for name, field in Study.model_fields.items():
        table = models(field.annotation)[0]
        header = f"[[{name}]]" if table is AreaSettings else f"[{name}]"
        # An optional section is a comment as a whole: its presence switches its stage on.
        parts.append("\n".join(_section(header, table, field.default is None)) + "\n")
    return "\n".join(parts)


def _section(header: str, table: type[BaseModel], absent: bool, about: str = "") -> Iterator[str]:
    mark = "# " if absent else ""
    yield f"{mark}{header}"
    yield from _comment(about or (table.__doc__ or "").splitlines()[0], mark)
    inner = []
    for name, field in table.model_fields.items():
        if own := _own_section(field):
            inner.append((f"{header.rstrip(']')}.{name}]", own, field.description or ""))
        else:
            yield from _comment(field.description or "", mark)
            yield f"{mark}{_line(name, field)}"
    for title, own, about in inner:  # TOML: a table's own keys stand before the tables in it
        if own is DriverLayers:
            yield f"{mark}{title}"
            yield from (f"{mark}{layer} = {toml(value)}" for layer, value in LAYERS.items())
        else:
            yield from _section(title, own, absent, about)


def _own_section(field: FieldInfo) -> type[BaseModel] | None:
    """The settings type of a field that is a table of its own and nothing else."""
    annotation: Any = field.annotation
    is_table = isinstance(annotation, type) and issubclass(annotation, BaseModel)
    return annotation if is_table else None


def _line(name: str, field: FieldInfo) -> str:
    """A key with its value: an example where it is required, else its default."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if field.examples:
        return f"{name} = {toml(field.examples[0])}"
    if value is PydanticUndefined or value is None or value == {}:
        return f"# {name} = {toml(EXAMPLES[name])}"
    forms = list(_forms(field.annotation))
    return f"{name} = {toml(value)}" + (f"  # {' | '.join(forms)}" if len(forms) > 1 else "")


def _forms(annotation: Any) -> Iterator[str]:
    """The words, numbers, lists and tables that a value may be."""
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
    elif annotation in (int, float):
        yield "a number"
    elif get_origin(annotation) is tuple:
        yield "[ ... ]"
    elif tables := models(annotation) if isinstance(annotation, type) else []:
        yield "{ " + ", ".join(f"{key} = ..." for key in tables[0].model_fields) + " }"
    else:
        for part in get_args(annotation):
            yield from _forms(part)


def _comment(text: str, mark: str) -> list[str]:
    # The settings' docstrings mark code as reStructuredText does.
    plain = text.replace("``", "")
    return textwrap.wrap(plain, WIDTH, initial_indent=f"{mark}# ", subsequent_indent=f"{mark}# ")


def toml(value: Any) -> str:
    """``value`` as TOML on one line.

    >>> toml({"raster": "lc.tif", "classes": (17, 11), "mean": False})
    '{ raster = "lc.tif", classes = [17, 11], mean = false }'
    """
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml(x)}" for name, x in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)
