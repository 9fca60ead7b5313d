"""A task that needs more memory than there is is refused before it is tried, with a way out."""

from pathlib import Path

import pytest
import studies

from rsei.engine.run import pipeline
from rsei.engine.run.budgets import shared
from rsei.engine.run.store import Store
from rsei.engine.run.survey import survey
from rsei.engine.sources.errors import StudyError

SMALL = 'memory = "100 MiB"'
"""Less than what putting the tables together takes."""


@pytest.fixture(scope="module")
def granules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return studies.write_all(tmp_path_factory.mktemp("granules"))


def test_plan_says_what_is_refused_and_how_to_go_on(granules: Path, tmp_path: Path) -> None:
    file = studies.written(tmp_path, granules, compute=SMALL)
    said = [one for one in pipeline.plan(studies.load(file)).warnings if "compute.memory" in one]
    assert said[0].startswith("analyse tables: expected tasks of at most 0.1 GiB")
    assert 'set compute.memory = "1 GiB"' in said[0]
    enough = studies.written(tmp_path, granules)
    assert not any("compute.memory" in one for one in pipeline.plan(studies.load(enough)).warnings)


def test_run_refuses_after_it_has_done_the_rest(granules: Path, tmp_path: Path) -> None:
    file = studies.written(tmp_path, granules, compute=SMALL)
    with pytest.raises(StudyError, match=r"analyse tables: .* found one that takes about 1 GiB"):
        studies.run(file)
    stages = {marker.stage for marker in Store(tmp_path / "run").markers()}
    assert "write" in stages and not (tmp_path / "run/tables").exists()
    assert studies.run(studies.written(tmp_path, granules)).failed == ()


def test_workers_share_the_memory(granules: Path, tmp_path: Path) -> None:
    found = survey(studies.load(studies.written(tmp_path, granules)))
    assert shared(found, 1) is found
    alone, among = (shared(found, n).study for n in (1, 4))
    assert among.compute.memory_bytes == alone.compute.memory_bytes // 4
    assert among.resolved() == alone.resolved()  # what stands in the run's record
