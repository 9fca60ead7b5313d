# SPDX-License-Identifier: Apache-2.0
"""What a worker answers for each task that it is handed."""

from pathlib import Path

import pytest
from faulty_tasks import Faulty

from rsei.engine.run.answers import remotely
from rsei.engine.run.batches import Batch
from rsei.engine.run.cluster import Failed
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Done
from rsei.engine.run.upkeep import RUN


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "run")
    kept.put_json(RUN, {})
    return kept


def answers(batch: Batch, store: Store) -> list[Done | Failed]:
    return [answer(task) for answer, task in zip(remotely(batch, store), batch, strict=True)]


@pytest.mark.parametrize("ways", [("good", "damaged", "good"), ("bug",), ("good",) * 4])
def test_each_task_of_a_batch_has_its_own_answer(ways: tuple[str, ...], store: Store) -> None:
    batch: Batch = tuple(Faulty(f"{n}", way) for n, way in enumerate(ways))
    found = answers(batch, store)
    assert [one.task.name for one in found] == [task.name for task in batch]
    assert [isinstance(one, Done) for one in found] == [way == "good" for way in ways]


def test_a_worker_without_the_run_folder_or_with_other_software_says_so(store: Store) -> None:
    (store.folder / RUN).unlink()
    for kept, reason in (
        (store, "expected the run folder"),
        (Store(store.folder, {"rsei": "0.0.1"}), "expected rsei 0.0.1"),
    ):
        (found,) = answers((Faulty("a"),), kept)
        assert isinstance(found, Failed) and reason in str(found.error)
