# SPDX-License-Identifier: Apache-2.0
"""What is said follows from what was found."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from rsei.engine.report.findings import Findings, Site
from rsei.engine.report.wording import verdicts

SITE = Site(Path("."), "Town", "town", (2001, 2010), None, ())

PLAIN: dict[str, Any] = {"greenness": "product", "wetness": "bands", "heat": "product"}


def told(indicators: dict[str, Any] | None = None, **changes: Any) -> str:
    """The verdicts on two epochs that are sound but for ``changes`` in the first."""
    sound = {"area": "Town", "n": 5000, "pc1": 85.0, "agreement": True, "v_dot_e": 1.9}
    sound |= {"direction": "expected"}
    rows = [{**sound, "epoch": "2001", **changes}, {**sound, "epoch": "2010"}]
    rules = [("expected", 1), ("ndvi", 1), ("heat", -1)]
    votes = [{"area": "Town", "epoch": "2001", "rule": r, "sign": s, "margin": 1} for r, s in rules]
    findings = Findings(Path("."), {"settings": {"indicators": indicators or PLAIN}}, (SITE,))
    vars(findings)["tables"] = {"pca": pd.DataFrame(rows), "directions": pd.DataFrame(votes)}
    return " ".join(verdicts(findings, SITE))


def test_a_sound_index_is_called_so() -> None:
    said = told()
    assert "85.0 % of the variance" in said and "well" in said
    assert "At every epoch, all rules" in said and "2001:" not in said


@pytest.mark.parametrize(("share", "word"), [(80, "well"), (60, "fairly well"), (59.9, "poorly")])
def test_the_weakest_epoch_decides_how_well_it_sums_up(share: float, word: str) -> None:
    assert f"four indicators {word}." in told(pc1=share)


def test_rules_that_disagree_are_named() -> None:
    said = told(agreement=False)
    assert "2001: the rules of direction do not agree" in said and "Against it: heat." in said
    assert "In 2010, all rules" in said


def test_a_weak_direction_and_few_pixels_are_doubted() -> None:
    said = told(v_dot_e=-0.49, n=99)
    assert "v·e = -0.49" in said and "only 99 pixels" in said
    assert "weak" not in told(v_dot_e=-0.5) and "only" not in told(n=100)


def test_a_stand_in_is_called_by_its_name() -> None:
    said = told({**PLAIN, "heat": {"raster": "t2m.tif", "label": "air temperature"}})
    assert "Heat comes from the user's own raster: air temperature." in said
