# SPDX-License-Identifier: Apache-2.0
"""Spoilt input of every kind is read or refused with an error; campaign.py gives more of it."""

import ctypes
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz import campaign
from fuzz.target import Target
from fuzz.targets import TARGETS
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from rsei.engine.sources.errors import RseiError

CORPUS = Path(__file__).with_name("corpus")
HEAVY = {"runs", "resumed", "forests"}
"""Targets that need a whole run."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def given_to(target: Target, data: bytes, folder: Path) -> None:
    try:
        target.act(data, folder)
    except RseiError as error:
        assert str(error)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=pytest.mark.slow) if n in HEAVY else n for n in TARGETS]
)
def test_spoilt_input_is_read_or_refused(name: str, folder: Path) -> None:
    target = TARGETS[name]
    inputs = target.inputs(folder)

    @settings(
        max_examples=max(3, round(12 * target.share)),
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def one(data: bytes) -> None:
        given_to(target, data, folder)

    one()


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(path, id=f"{path.parent.name}-{path.name}")
        for path in sorted(CORPUS.glob("*/*"))
        if path.parent.name not in HEAVY
    ],
)
def test_what_once_failed(path: Path, folder: Path) -> None:
    target = TARGETS[path.parent.name]
    target.inputs(folder)  # some read beside what they write
    given_to(target, path.read_bytes(), folder)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(CORPUS.glob("runs/*")), ids=lambda path: path.name)
def test_what_once_failed_in_a_run(path: Path, folder: Path) -> None:
    for name in ("runs", "resumed"):
        given_to(TARGETS[name], path.read_bytes(), folder)


def crash(data: bytes, folder: Path) -> None:
    ctypes.string_at(0)


def hoard(data: bytes, folder: Path) -> None:
    bytearray(2 * campaign.ROOM)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are the system's")
@pytest.mark.parametrize(("act", "found"), [(crash, "ended with -11"), (hoard, "MemoryError")])
def test_a_campaign_finds_what_goes_wrong(
    act: Callable[[bytes, Path], None], found: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(campaign, "FOUND", tmp_path)
    planted = f"fuzz.test_fuzz:{act.__name__}"
    (failure,) = campaign.campaign(planted, 3)["failures"]
    assert found in failure
    assert list(tmp_path.glob("*/*")) or "ended" not in failure


def planted(name: str) -> Target:
    return Target(lambda folder: st.binary(), globals()[name])
