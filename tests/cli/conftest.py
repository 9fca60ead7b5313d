# SPDX-License-Identifier: Apache-2.0
"""A study file, and a pipeline in the place of the real one."""

import sys
from pathlib import Path

import pytest
from commands import Pipeline, rsei


@pytest.fixture
def study(tmp_path: Path) -> Path:
    path = tmp_path / "study.toml"
    assert rsei("init", path).exit_code == 0
    return path


@pytest.fixture
def pipeline(monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    import rsei.engine.run as package

    fake = Pipeline()
    monkeypatch.setitem(sys.modules, "rsei.engine.run.pipeline", fake)
    monkeypatch.setattr(package, "pipeline", fake, raising=False)
    return fake
