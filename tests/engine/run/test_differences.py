# SPDX-License-Identifier: Apache-2.0
"""What changed between two records, in lines that a person reads."""

from rsei.engine.run.markers import differences


def test_differences_are_sorted_lines() -> None:
    before = {"a": {"b": 1, "c": {}}, "d": [1]}
    assert differences(before, before) == []
    assert differences(before, {"a": {"b": 1.5}, "d": [2]}) == [
        "a.b: 1 -> 1.5",
        "a.c: removed ({})",
        "d: [1] -> [2]",
    ]


def test_the_difference_of_long_lists_is_what_came_and_went() -> None:
    days = [["MOD09A1", f"{year}-06-01", "present"] for year in range(2000, 2024)]
    assert differences({"days": days}, {"days": [*days[1:], ["MOD09A1", "2024-06-01", "bad"]]}) == [
        'days: 1 fewer, such as ["MOD09A1", "2000-06-01", "present"]; '
        '1 more, such as ["MOD09A1", "2024-06-01", "bad"]'
    ]
    assert differences({"days": days}, {"days": days[::-1]}) == ["days: another order"]
    (line,) = differences({"name": "x" * 500}, {"name": "y"})
    assert line.endswith('... -> "y"') and len(line) < 130
