# SPDX-License-Identifier: Apache-2.0
"""Single entries of a study file; what a wrong one is told is in test_study_mistakes."""

import pytest

from rsei.engine.run.entries import in_bytes


@pytest.mark.parametrize(
    ("text", "amount"), [("1 B", 1), ("2kB", 2000), (" 1.5 MiB ", 3 << 19), ("1 TiB", 1 << 40)]
)
def test_amounts_of_memory(text: str, amount: int) -> None:
    assert in_bytes(text) == amount


@pytest.mark.parametrize(
    "text", ["", "GiB", "-1 GiB", "1e9 B", "1 PiB", "nan GiB", "1,5 GiB", "8 iB"]
)
def test_other_texts_are_no_amounts(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number and a unit"):
        in_bytes(text)
