# SPDX-License-Identifier: Apache-2.0
"""What a run found, in plain words: verdicts, warnings and provenance."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pandas as pd

from .findings import Findings, Site

RULES = {
    "expected": "greenness and wetness up, dryness and heat down, for all epochs together",
    "ndvi": "greenness up",
    "heat": "heat down",
    "reference": "like the reference epoch",
    "none": "as the computation gives it",
}
"""What each rule asks of the sign."""


def verdicts(findings: Findings, site: Site) -> list[str]:
    """What is to be said of the direction and strength of the index, a sentence each."""
    pca = findings.of("pca", site.name)
    if pca is None:
        return []
    rows = records(pca)
    doubts = [sentence for row in rows for sentence in _doubts(row, findings)]
    replaced = _replaced(findings.settings["indicators"])
    return [*replaced, _strength(rows), *_agreement(rows), *doubts]


def _replaced(indicators: Mapping[str, Any]) -> list[str]:
    """Indicators that come from the user's own rasters: nobody should take them for ours."""
    names = {"greenness": "Greenness", "wetness": "Wetness", "ndbsi": "Dryness", "heat": "Heat"}
    return [
        f"{name} comes from the user's own raster: {found.get('label') or found['raster']}."
        for key, name in names.items()
        if isinstance(found := indicators.get(key), Mapping)
    ]


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, each by column."""
    return [{str(name): cell for name, cell in row.items()} for row in table.to_dict("records")]


def _strength(rows: list[dict[str, Any]]) -> str:
    shares = sorted(float(row["pc1"]) for row in rows)
    low, high = shares[0], shares[-1]
    strength = "well" if low >= 80 else "fairly well" if low >= 60 else "poorly"
    span = f"{low:.1f} %" if f"{low:.1f}" == f"{high:.1f}" else f"{low:.1f} to {high:.1f} %"
    return (
        f"The first component holds {span} of the variance: "
        f"one number sums up the four indicators {strength}."
    )


def _agreement(rows: list[dict[str, Any]]) -> list[str]:
    agreed = [str(row["epoch"]) for row in rows if row["agreement"]]
    if not agreed:
        return []
    where = "At every epoch" if len(agreed) == len(rows) else f"In {', '.join(agreed)}"
    return [f"{where}, all rules of direction agree on what is better and what is worse."]


def _doubts(row: Mapping[str, Any], findings: Findings) -> list[str]:
    epoch, said = row["epoch"], []
    if not row["agreement"]:
        rule = RULES.get(str(row["direction"]), row["direction"])
        said.append(
            f"{epoch}: the rules of direction do not agree; the index follows “{rule}”. "
            f"{_votes(findings, row)}"
        )
    if abs(row["v_dot_e"]) < 0.5:
        said.append(
            f"{epoch}: the direction is weak (v·e = {row['v_dot_e']:+.2f}): the indicators pull "
            "against each other, and “better” is uncertain here."
        )
    if row["n"] < 100:
        said.append(f"{epoch}: only {row['n']} pixels; take the components with care.")
    return said


def _votes(findings: Findings, row: Mapping[str, Any]) -> str:
    table = findings.of("directions", row["area"])
    if table is None:
        return ""
    rows = table[(table["epoch"] == str(row["epoch"])) & table["sign"].notna()]
    signs = dict(zip(rows["rule"], rows["sign"]))
    own = signs.get(str(row["direction"]))
    against = [name for name, sign in signs.items() if sign != own]
    return f"Against it: {', '.join(against)}." if against else ""


def lead(findings: Findings) -> str:
    """What the study is about, in a sentence or two."""
    granules, epochs = findings.settings["granules"], findings.settings["study"]["epochs"]
    names = [site.name for site in findings.sites]
    listed = ", ".join(names) if len(names) <= 8 else f"{len(names)} areas"
    years = f"{epochs[0]} to {epochs[-1]}" if len(epochs) > 1 else str(epochs[0])
    span = "" if not granules["reach"] else f", each the mean of {2 * granules['reach'] + 1} years"
    count = f"{len(epochs)} epochs" if len(epochs) > 1 else "one epoch"
    first, last = granules["season"]
    return (
        f"The ecological index of {listed or 'no area'}, {years}: {count}{span}, season from "
        f"{first} to {last} (month-day). 0 is poor, 1 is excellent."
    )


def summary(findings: Findings, site: Site) -> dict[str, Any]:
    """The figures of an area that stand at its head."""
    series = findings.of("series", site.name)
    found: dict[str, Any] = {"epochs": len(site.epochs), "mines": len(site.mines)}
    if series is not None:
        rows = series[(series["zone"] == "area") & (series["epoch"] != "all")]
        first, last = rows.iloc[0], rows.iloc[-1]
        found |= {
            "first": first["epoch"],
            "last": last["epoch"],
            "first_mean": first["mean"],
            "last_mean": last["mean"],
            "pixels": int(last["n"]),
        }
    return found


def comparison(series: pd.DataFrame | None) -> tuple[list[str], list[list[Any]]]:
    """Mean RSEI of every area by epoch: the epochs, and a row an area."""
    if series is None:
        return [], []
    rows = series[(series["zone"] == "area") & (series["epoch"] != "all")]
    wide = rows.pivot(index="area", columns="epoch", values="mean")
    epochs = [str(epoch) for epoch in wide.columns]
    cells = [
        [area, *(None if pd.isna(v) else float(v) for v in means)]
        for area, means in zip(wide.index, wide.to_numpy())
    ]
    return epochs, cells


def provenance(findings: Findings) -> dict[str, Any]:
    """Versions, granules and commands: what is needed to make the results again."""
    record = findings.record
    granules: Mapping[str, Any] = record["granules"]
    sums = json.dumps({name: one["sha256"] for name, one in sorted(granules.items())})
    return {
        "versions": dict(record["versions"]),
        "granules": {name: one["sha256"] for name, one in sorted(granules.items())},
        "granules_digest": hashlib.sha256(sums.encode()).hexdigest(),
        "bytes": sum(one["size"] for one in granules.values()),
        "quarantined": list(record.get("quarantined", ())),
        "device": record["device"],
        "times": dict(record["timings"]),
        "commands": [f"rsei run {record['study_file']}", "rsei verify .", "rsei report ."],
    }
