# SPDX-License-Identifier: Apache-2.0
"""What explains a run folder to people: its README."""

from importlib.resources import files

from jinja2 import Environment, StrictUndefined

from .findings import Findings
from .tables import TABLES
from .vectors import LAYERS


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
        layers=LAYERS,
        tables=[TABLES[name] for name in TABLES if name in findings.tables],
        study_file=findings.record["study_file"],
    )
    return text.encode()
