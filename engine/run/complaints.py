# SPDX-License-Identifier: Apache-2.0
"""What is wrong with settings, in plain words: where, what was expected, and what was found."""

import difflib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from .study import models

Place = tuple[str | int, ...]
"""Where a value stands in the file: keys, and positions in lists."""


def complaints(error: ValidationError, model: type[BaseModel], written: Any) -> list[str]:
    """What is wrong in ``written``, one line each, in the order of the model."""
    grouped: dict[Place, list[ErrorDetails]] = {}
    for fault in _relevant(error, written):
        grouped.setdefault(_place(fault, written), []).append(fault)
    lines = []
    for place, faults in grouped.items():
        named = dotted(place)
        text = _complaint(place, faults, model, written)
        inner = {key for table in _tables_at(place, model) for key in table.model_fields}
        # A check of a whole table starts with the dotted key it complains of.
        dot = named and ("." if text.partition(": ")[0].partition(".")[0] in inner else ": ")
        lines.append(f"{named}{dot}{text}")
    return lines


def _relevant(error: ValidationError, written: Any) -> Iterator[ErrorDetails]:
    """The faults without those of the forms of a value that the user did not mean.

    Where a table may stand for a word, pydantic complains of both: a fault inside the table
    says that the table was meant.
    """
    faults = error.errors(include_url=False)
    places = [_place(fault, written) for fault in faults]
    for fault, place in zip(faults, places):
        deeper = any(len(p) > len(place) and p[: len(place)] == place for p in places)
        # A list whose items are at fault is also counted as short.
        if not (deeper and (len(fault["loc"]) > len(place) or fault["type"] == "too_short")):
            yield fault


def _place(fault: ErrorDetails, written: Any) -> Place:
    """The fault's place in the file, without the names of types that pydantic puts in between."""
    place: list[str | int] = []
    here = written
    for position, part in enumerate(fault["loc"]):
        last = position == len(fault["loc"]) - 1
        if isinstance(here, Mapping) and part in here:
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (last and fault["type"] == "missing"):
            continue
        place.append(part)
    return tuple(place)


def dotted(place: Place) -> str:
    """A place as a user writes it.

    >>> dotted(("area", 0, "name"))
    'area[1].name'
    """
    text = ""
    for part in place:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _complaint(
    place: Place, faults: Sequence[ErrorDetails], model: type[BaseModel], written: Any
) -> str:
    first = faults[0]
    if first["type"] == "extra_forbidden":
        return _unknown(place, model)
    if first["type"] == "missing" and isinstance(place[-1], int):
        return "expected one more value, found none"
    if first["type"] == "missing":
        return "expected this required key, found none" + _meaning(place, model)
    for fault in faults:
        if fault["type"] == "value_error":
            return str(fault["ctx"]["error"])
    wanted = " or ".join(dict.fromkeys(_wanted(fault) for fault in faults))
    value = first["input"]
    if first["type"] == "tuple_type" and isinstance(value, dict):
        wanted = f"a list of tables (write [[{place[-1]}]] over each)"
    return f"expected {wanted}, found {_shown(value)}{_suggestion(value, faults)}"


WANTED = {
    "int": "a whole number",
    "float": "a number",
    "string": "text in quotes",
    "bool": "true or false",
    "tuple": "a list in [ ]",
    "list": "a list in [ ]",
    "dict": "a table",
    "mapping": "a table",
    "model": "a table",
    "path": "a path in quotes",
    "finite": "a finite number",
    "date": "a date",
}
"""What the first word of a type of pydantic's errors asks for."""

LIMITS = {
    "greater_than_equal": "at least {ge}",
    "greater_than": "more than {gt}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "too_short": "at least {min_length} item(s)",
    "too_long": "at most {max_length} item(s)",
    "string_too_short": "at least {min_length} character(s)",
    "string_too_long": "at most {max_length} character(s)",
    "string_pattern_mismatch": "text of the form {pattern}",
    "literal_error": "{expected}",
}
"""What an error of pydantic asks for, with its own figures."""


def _wanted(fault: ErrorDetails) -> str:
    if fault["type"] in LIMITS:
        return LIMITS[fault["type"]].format(**fault.get("ctx", {})).replace("'", '"')
    return WANTED.get(fault["type"].split("_")[0], fault["msg"].lower())


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _suggestion(value: Any, faults: Sequence[ErrorDetails]) -> str:
    words = [w for f in faults for w in str(f.get("ctx", {}).get("expected", "")).split("'")[1::2]]
    close = difflib.get_close_matches(value, words, 1) if isinstance(value, str) else []
    return f'; did you mean "{close[0]}"?' if close else ""


def _unknown(place: Place, model: type[BaseModel]) -> str:
    key = str(place[-1])
    names = sorted({name for table in _tables_at(place[:-1], model) for name in table.model_fields})
    elsewhere = [path for path in _keys(model) if path.split(".")[-1] == key]
    if close := difflib.get_close_matches(key, names, 1):
        return f'unknown key; did you mean "{close[0]}"?'
    if elsewhere:
        return f'unknown key here; did you mean "{elsewhere[0]}"?'
    return f"unknown key; expected one of {', '.join(names)}"


def _meaning(place: Place, model: type[BaseModel]) -> str:
    for table in _tables_at(place[:-1], model):
        field = table.model_fields.get(str(place[-1]))
        about = field and (field.description or models(field.annotation)[0].__doc__)
        if about:
            return f" ({about.splitlines()[0].rstrip('.').lower()})"
    return ""


def _tables_at(place: Place, model: type[BaseModel]) -> list[type[BaseModel]]:
    """The settings types that may stand at ``place``."""
    tables = [model]
    for part in place:
        if isinstance(part, str):
            fields = [table.model_fields[part] for table in tables if part in table.model_fields]
            tables = [found for field in fields for found in models(field.annotation)]
    return tables


def _keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every key of a study, dotted."""
    for name, field in model.model_fields.items():
        yield above + name
        for table in models(field.annotation):
            yield from _keys(table, f"{above}{name}.")


def endless(value: Any, place: Place = ()) -> Iterator[str]:
    """A complaint for each number that TOML allows and no setting can use."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{dotted(place)}: expected a finite number, found {value}"
    elif isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from endless(inner, (*place, key))
