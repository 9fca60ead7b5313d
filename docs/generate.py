# SPDX-License-Identifier: Apache-2.0
"""Write the pages of the reference, which follow from the code: ``python docs/generate.py``."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer

import rsei.engine
from rsei.cli.main import app
from rsei.engine.index.quality import PRESETS
from rsei.engine.report.tables import TABLES
from rsei.engine.run.skeleton import skeleton
from rsei.engine.sources.products import QUALITY_FIELDS, products

REFERENCE = Path(__file__).parent / "reference"


def pages() -> dict[str, str]:
    """Each page's text by its name."""
    made = {
        "commands": commands,
        "study": study,
        "tables": tables,
        "products": product_page,
        "api": api,
    }
    return {f"{name}.md": "\n".join(page()) + "\n" for name, page in made.items()}


def commands() -> Iterator[str]:
    """The commands, from the program itself."""
    group: Any = typer.main.get_command(app)
    yield "# Commands\n"
    yield _paragraphs(group.help)
    yield "Before any command, `--debug` shows tracebacks of errors, and `--version` the version."
    for name, command in group.commands.items():
        arguments = [p for p in command.params if p.param_type_name == "argument"]
        options = [p for p in command.params if p.param_type_name == "option"]
        wanted = [p.metavar if p.required else f"[{p.metavar}]" for p in arguments]
        yield f"\n## rsei {name}\n"
        usage = " ".join(["rsei", name, *wanted, *(["[OPTIONS]"] if options else [])])
        yield f"```\n{usage}\n```\n"
        yield _paragraphs(command.help)
        if command.params:
            yield "| | | default |\n|---|---|---|"
        for p in arguments:
            yield f"| `{p.metavar}` | {p.help} | {_default(p)} |"
        for p in options:
            value = "" if p.is_flag else f" {p.metavar or p.name.upper()}"
            place = f" Also by the variable `{p.envvar}`." if p.envvar else ""
            yield f"| `{p.opts[0]}{value}` | {p.help}{place} | {_default(p)} |"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    absent = parameter.default is None or getattr(parameter, "is_flag", False)
    return "" if absent else f"`{parameter.default}`"


def _paragraphs(text: str) -> str:
    """A docstring's text as paragraphs of one line each."""
    parts = re.split(r"\n\s*\n", inspect.cleandoc(text))
    return "\n\n".join(_plain(" ".join(part.split())) for part in parts) + "\n"


def _plain(text: str) -> str:
    """reStructuredText's marks of code as Markdown's."""
    return re.sub(r":(?:func|class|mod):`([^`]*)`", r"`\1`", text.replace("``", "`"))


def study() -> Iterator[str]:
    """The study file, from the settings types."""
    yield "# The study file\n"
    yield (
        "This is what `rsei init` writes: every key with its meaning, and its default. Only "
        "`study.name`, `study.out`, `study.epochs`, `granules.path` and one `[[area]]` with a "
        "boundary or bounds are required. An unknown key is an error that names the nearest known "
        "one. Relative paths are relative to the file.\n"
    )
    yield f"```toml\n{skeleton().rstrip()}\n```"


def tables() -> Iterator[str]:
    """The tables of a run, from the table that they are written by."""
    yield "# Tables\n"
    yield (
        "All tables of a run, in its folder. CSV is UTF-8 with a dot for decimals and at least "
        "nine significant digits; a missing value is blank. Rows are sorted by the **key**, which "
        "no two share. A table is there where the study asks for it: those of mines need mines.\n"
    )
    for table in TABLES.values():
        key = ", ".join(f"`{name}`" for name in table.key)
        yield f"## {table.name}\n\n{table.about}. `{table.file}`, key {key}.\n"
        yield "| column | type | unit | |\n|---|---|---|---|"
        for c in table.columns:
            blank = " May be blank." if c.blank else ""
            yield f"| `{c.name}` | {c.kind} | {c.unit} | {c.about}.{blank} |"
        yield ""


def product_page() -> Iterator[str]:
    """Products, quality fields and presets, from the product table and the policies."""
    yield "# Products and quality bits\n"
    yield (
        "Role *other* is for `rsei inspect` and the readers: no stage of a study uses it. "
        "Scales, fills and valid ranges are of stored integers.\n"
    )
    yield "| product | role | platform | days | pixel, m | collections |"
    yield "|---|---|---|---:|---:|---|"
    for p in products().values():
        held = ", ".join(p.collections)
        yield f"| {p.name} | {p.role} | {p.platform} | {p.period_days} | {p.pixel} | {held} |"
    yield "\n## Layers\n"
    yield "| product | layer | stored as | type | scale | fill | valid | unit |"
    yield "|---|---|---|---|---:|---:|---|---|"
    for p in products().values():
        if not p.name.startswith("MYD"):
            for x in p.layers:
                valid = f"{x.valid[0]} … {x.valid[1]}" if x.valid else ""
                fill = "" if x.fill is None else f"{x.fill:.0f}"
                scale = "" if x.kind == "quality" else f"{x.scale:g}"
                yield (
                    f"| {p.name} | `{x.name}` | {x.stored} | {x.dtype} | {scale} | {fill} | "
                    f"{valid} | {x.units} |"
                )
    yield "\nMYD products, of Aqua, have the layers of their MOD twins.\n\n## Fields and presets\n"
    yield (
        "A field is read as an unsigned integer. The presets list the values that may be used; "
        "blank accepts all. Stored values that are fill, or outside the valid range, are never "
        "used. On `qc` a field `b1` … `b7` tests its own band alone, and `all_bands` drops the "
        "pixel unless the nibbles of all seven bands hold one of its values.\n"
    )
    yield f"| word | field | bits | {' | '.join(PRESETS)} |\n|---|---|---|{'---|' * len(PRESETS)}"
    for word, fields in QUALITY_FIELDS.items():
        for name in (*fields, *(["all_bands"] if word == "qc" else [])):
            first, last = fields.get(name, (0, 0))
            bits = _run(tuple(range(first, last + 1))) if name in fields else ""
            kept = [_run(preset.get(word, {}).get(name, ())) for preset in PRESETS.values()]
            yield f"| `{word}` | `{name}` | {bits} | {' | '.join(kept)} |"


def _run(values: tuple[int, ...]) -> str:
    """Rising numbers: all of them, or the ends of a long run."""
    if len(values) > 3 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} to {values[-1]}"
    return ", ".join(map(str, values))


def api() -> Iterator[str]:
    """The public names of ``rsei.engine``, from their docstrings."""
    yield "# Python\n"
    yield f"```python\nfrom rsei.engine import {', '.join(STAGES)}\n```\n"
    yield "[An example that runs](../how-to/python.md) shows them together.\n"
    for name in rsei.engine.__all__:
        thing = getattr(rsei.engine, name)
        if callable(thing):
            yield f"## {name}\n\n```python\n{_signature(name, thing)}\n```\n"
            yield _docstring(thing)
            if inspect.isclass(thing):
                yield from _attributes(thing)
                yield from _methods(thing)
        else:
            yield f"## {name}\n\n`{thing}`\n"


STAGES = ("composite", "indicators", "rsei_of", "assess")


def _signature(name: str, thing: Any) -> str:
    if inspect.isclass(thing) and (fields := getattr(thing, "model_fields", None)):
        return f"{name}({', '.join(fields)})"
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return name
    shown = inspect.signature(thing).parameters.values()
    parts = [
        p.name if p.default is p.empty else f"{p.name}=…"
        for p in shown
        if p.name not in ("self", "cls")
    ]
    return f"{name}({', '.join(parts)})"


def _docstring(thing: Any) -> str:
    text = inspect.cleandoc(thing.__doc__ or "")
    prose, _, example = text.partition(">>>")
    shown = f"\n```python\n>>>{example.rstrip()}\n```\n" if example else ""
    return _paragraphs(prose) + shown


def _attributes(thing: type) -> Iterator[str]:
    """Each attribute with the sentence that stands under it in the class."""
    body = ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    assert isinstance(body, ast.ClassDef)
    for line, after in pairwise(body.body):
        if isinstance(line, ast.AnnAssign) and isinstance(after, ast.Expr):
            text = _plain(" ".join(str(ast.literal_eval(after.value)).split()))
            yield f"- `{ast.unparse(line.target)}`: {text}"


def _methods(thing: Any) -> Iterator[str]:
    for name, method in vars(thing).items():
        inner = getattr(method, "__func__", method)
        own = not name.startswith(("_", "model_"))
        if own and inspect.isfunction(inner) and inner.__doc__:
            first = _plain(" ".join(inspect.cleandoc(inner.__doc__).split("\n\n")[0].split()))
            yield f"- `.{_signature(name, inner)}`: {first}"
    yield ""


if __name__ == "__main__":
    REFERENCE.mkdir(exist_ok=True)
    for page_name, page_text in pages().items():
        (REFERENCE / page_name).write_text(page_text, encoding="utf-8")
