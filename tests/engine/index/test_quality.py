# SPDX-License-Identifier: Apache-2.0
from typing import Any

import pytest
from oracles_quality import field
from pydantic import ValidationError

from rsei.engine.index.quality import BAND_FIELDS, PRESETS, QUALITY_FIELDS, Policy
from rsei.engine.sources.errors import StudyError
from rsei.engine.sources.products import BANDS
from rsei.kernels.rules import SHIFT
from rsei.kernels.tables import QC_BANDS, QC_ENDS, STATE_GROUPS

CLEAR = 0b01 << 3  # land; every other field 0


def test_standard_is_the_method() -> None:
    assert PRESETS["standard"] == {
        "state": {
            "cloud": (0b00, 0b11),
            "shadow": (0,),
            "cirrus": (0, 1),
            "internal_cloud": (0,),
            "snow": (0,),
            "adjacent": (0,),
            "internal_snow": (0,),
        },
        "qc": {"modland": (0b00, 0b01)} | {f"b{n}": (0b0000, 0b0001) for n in range(1, 8)},
        "vi": {"usefulness": tuple(range(13))},
        "reliability": {"reliability": (0, 1)},
        "lst": {"mandatory": (0b00, 0b01), "lst_error": (0b00, 0b01)},
    }


def test_strict_is_standard_and_more() -> None:
    standard, strict = PRESETS["standard"], PRESETS["strict"]
    assert strict["state"] == {**standard["state"], "aerosol": (0, 1, 2), "cirrus": (0,)}
    assert strict["qc"] == {**standard["qc"], "modland": (0,), "all_bands": (0,)}
    assert strict["vi"] == standard["vi"]
    assert strict["reliability"] == {"reliability": (0,)}
    assert strict["lst"] == {"mandatory": (0,), "lst_error": (0, 1)}


def test_lenient_is_the_method() -> None:
    assert PRESETS["lenient"] == {
        "state": {"cloud": (0b00, 0b11), "shadow": (0,)},
        "qc": {},
        "vi": {},
        "reliability": {"reliability": (0, 1, 2)},
        "lst": {"mandatory": (0b00, 0b01)},
    }


def test_a_table_replaces_its_layer_alone() -> None:
    policy = Policy.model_validate({"preset": "strict", "fields": {"state": {"cloud": [0, 3]}}})
    assert policy.accepted("state") == {"cloud": (0, 3)}
    assert policy.accepted("qc") == PRESETS["strict"]["qc"]
    assert policy.bands().reasons[:3] == ("fill", "state.cloud", "qc.modland")


@pytest.mark.parametrize("preset", PRESETS)
def test_reasons_stand_in_the_order_of_the_bits(preset: str) -> None:
    rules = Policy.model_validate({"preset": preset}).bands()
    whole = len(rules.tables.rules)
    assert len(rules.reasons) == rules.tables.reasons == 1 + whole + 2 * 7
    own = [f"qc.b{n}" for n in range(1, 8)]
    assert list(rules.reasons[1 + whole : 8 + whole]) == own
    assert list(rules.reasons[8 + whole :]) == [f"range.{name}" for name in BANDS]
    assert rules.untested == (frozenset(own) if preset == "lenient" else frozenset())
    order = [f"state.{name}" for name in QUALITY_FIELDS["state"]]
    order += ["qc.modland", "qc.atmospheric", "qc.adjacency", "qc.all_bands"]
    places = [order.index(reason) for reason in rules.reasons[1 : 1 + whole]]
    assert places == sorted(places)
    assert rules.reasons.count("qc.all_bands") == (7 if preset == "strict" else 0)


@pytest.mark.parametrize("word", ["state", "qc"])
def test_fields_are_listed_by_their_bits(word: str) -> None:
    """The rules are sorted by bits, and their reasons are named in the order of the list."""
    whole = [bits for bits in QUALITY_FIELDS[word].values() if bits not in QC_BANDS]
    assert whole == sorted(whole)


@pytest.mark.parametrize("word", ["state", "qc"])
def test_each_rule_has_its_reason(word: str) -> None:
    for name, (first, _) in QUALITY_FIELDS[word].items():
        rules = Policy.model_validate({"fields": {"state": {}, "qc": {}, word: {name: [1]}}})
        found = rules.bands()
        if name in BAND_FIELDS:
            assert not len(found.tables.rules)
            continue
        assert found.reasons[1] == f"{word}.{name}"
        assert found.tables.rules[0, SHIFT] == first


def test_every_field_lies_in_one_table() -> None:
    for word, groups in (("state", STATE_GROUPS), ("qc", (*QC_ENDS, *QC_BANDS))):
        for name, (first, last) in QUALITY_FIELDS[word].items():
            inside = [group for group in groups if group[0] <= first and last <= group[1]]
            assert len(inside) == 1, name


def bands_used(policy: Policy, state: int, qc: int) -> list[int]:
    """Bands that the tables let pass, by the tables' own definition."""
    tables = policy.bands().tables
    words = [int(word) for word in tables.words]
    if state == tables.fills[0] or qc == tables.fills[1]:
        return []
    alive = all(words[group] >> field(state, bits) & 1 for group, bits in enumerate(STATE_GROUPS))
    ends = field(qc, (30, 31)) | field(qc, (0, 1)) << 2
    nibbles = [field(qc, bits) for bits in QC_BANDS]
    alive = alive and bool(words[4] >> ends & 1)
    alive = alive and all(words[5 + b] >> (16 + value) & 1 for b, value in enumerate(nibbles))
    return [b for b, value in enumerate(nibbles) if alive and words[5 + b] >> value & 1]


@pytest.mark.parametrize("name", [name for name in QUALITY_FIELDS["state"] if name != "land_water"])
def test_one_state_field_decides(name: str) -> None:
    first, last = QUALITY_FIELDS["state"][name]
    policy = Policy.model_validate({"fields": {"state": {name: [1]}}})
    assert bands_used(policy, CLEAR, 0) == []
    assert bands_used(policy, CLEAR | 1 << first, 0) == list(range(7))
    if last > first:
        assert bands_used(policy, CLEAR | 0b10 << first, 0) == []


def test_salt_pan_is_in_no_preset() -> None:
    for preset in PRESETS:
        policy = Policy.model_validate({"preset": preset})
        assert bands_used(policy, CLEAR | 1 << 14, 0) == list(range(7))


def test_modland_good_does_not_excuse_a_bad_nibble() -> None:
    noisy_b5 = 0b0111 << 18
    assert bands_used(Policy(), CLEAR, noisy_b5) == [0, 1, 2, 3, 5, 6]
    assert bands_used(Policy(preset="strict"), CLEAR, noisy_b5) == []
    assert bands_used(Policy(preset="lenient"), CLEAR, noisy_b5) == list(range(7))


def test_bit_31_may_be_asked_for() -> None:
    policy = Policy.model_validate({"fields": {"qc": {"adjacency": [1]}}})
    assert bands_used(policy, CLEAR, 1 << 31) == list(range(7))
    assert bands_used(policy, CLEAR, 0) == []


def test_fills_and_ranges_are_the_products() -> None:
    tables = Policy().bands().tables
    assert [int(fill) for fill in tables.fills] == [65535, 0xFFFFFFFF]
    assert tables.valid == (-100, 16000)
    ndvi, lst, view_time = Policy().ndvi(), Policy().lst(), Policy().view_time()
    assert (ndvi.fills, ndvi.ranges) == ((-3000, 65535, -1), (-2000, 10000, -2000, 10000))
    assert lst.fills[0] == 0
    assert not set(lst.fills[1:]).intersection(range(256))  # QC_Day has no fill of its own
    assert lst.ranges == (7500, 65535, 7500, 65535)
    assert view_time.ranges == (7500, 65535, 0, 240)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"fields": {"stat": {"cloud": [0]}}}, "expected a layer of .*; did you mean state?"),
        ({"fields": {"state": {"clouds": [0]}}}, "fields.state.*'clouds'; did you mean cloud?"),
        ({"fields": {"qc": {"allbands": [0]}}}, "did you mean all_bands?"),
        ({"fields": {"state": {"all_bands": [0]}}}, "expected a field of cloud"),
        ({"fields": {"state": {"cloud": [4]}}}, r"from 0 to 3, found \[4\]"),
        ({"fields": {"qc": {"b5": [16]}}}, r"from 0 to 15, found \[16\]"),
        ({"fields": {"qc": {"all_bands": [-1]}}}, r"from 0 to 15, found \[-1\]"),
        ({"fields": {"reliability": {"reliability": [5]}}}, "from 0 to 4"),
        ({"fields": {"lst": {"mandatory": []}}}, "leave the field out to accept all"),
        ({"preset": "strickt"}, "standard, strict, lenient; found 'strickt'; did you mean strict?"),
    ],
)
def test_a_wrong_table_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(StudyError, match=message):
        Policy.model_validate(table)


@pytest.mark.parametrize(
    "table", [{"presets": "strict"}, {"fields": {"state": {"cloud": ["clear"]}}}]
)
def test_other_types_and_keys_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(table)
