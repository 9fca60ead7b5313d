# SPDX-License-Identifier: Apache-2.0
"""Workers may die; tasks are not lost, and poison is told from bad luck."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import studies
from distributed import Nanny
from faulty_tasks import RELEASED, Faulty, Killer, Unreadable, waiting
from run_hashes import hashes

from rsei.engine.run.batches import Stream
from rsei.engine.run.cluster import Alone, Crew, Failed, TaskError, crew
from rsei.engine.run.clusters import profiled
from rsei.engine.run.orders import RunOptions, Stop
from rsei.engine.run.store import Store
from rsei.engine.run.tasks import Done
from rsei.engine.run.upkeep import RUN, verification
from rsei.engine.sources.errors import GranuleError, MachineError, StudyError

MEMORY = 2 << 30


@pytest.fixture
def store(tmp_path: Path) -> Store:
    kept = Store(tmp_path / "run")
    kept.put_json(RUN, {})
    return kept


@pytest.fixture(scope="module")
def pair() -> Iterator[Crew]:
    """Two workers, for all tests: each takes seconds to start."""
    with crew(RunOptions(workers=2), MEMORY, studies.Silent()) as people:
        yield people


def outcomes(people: Crew, tasks: list[Faulty], store: Store) -> dict[str, Done | Failed]:
    found = {one.task.name: one for one in people.each(tasks, store, Stop())}
    assert sorted(found) == sorted(task.name for task in tasks)
    return found


def errors(found: dict[str, Done | Failed]) -> dict[str, str]:
    return {name: str(one.error) for name, one in found.items() if isinstance(one, Failed)}


def test_the_profile_of_workers_is_a_page(pair: Crew, store: Store, tmp_path: Path) -> None:
    with profiled(tmp_path / "profile.html"):
        outcomes(pair, [Faulty("a")], store)
    assert "<html" in (tmp_path / "profile.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_a_poisonous_task_is_given_up_and_a_neighbour_is_not_blamed(
    pair: Crew, store: Store
) -> None:
    tasks = [Faulty(f"good{i}") for i in range(12)]
    tasks[2:2] = [Faulty("poison", "exit"), Faulty("unlucky", "kill", times=1)]
    found = outcomes(pair, tasks, store)
    assert list(errors(found)) == ["poison"]
    assert "its worker died 4 times, 2 of them with nothing else" in errors(found)["poison"]
    # a worker may die just before it begins a task that was on its way to it
    assert 2 <= tasks[2].tries(store) <= 4 and tasks[3].tries(store) == 2
    assert store.find(tasks[3].key(store)) and not store.find(tasks[2].key(store))


@pytest.mark.slow
@pytest.mark.parametrize("way", ["exit", "kill", "segfault", "hoard"])
def test_every_death_of_a_worker(pair: Crew, store: Store, way: str) -> None:
    tasks = [Faulty("poison", way), *(Faulty(f"good{i}") for i in range(6))]
    assert list(errors(outcomes(pair, tasks, store))) == ["poison"]
    assert 2 <= tasks[0].tries(store) <= 4


def check_errors(people: Crew, store: Store) -> None:
    ways = ("damaged", "bug", "memory", "full", "good")
    found = outcomes(people, [Faulty(way, way) for way in ways], store)
    kinds = {n: type(one.error) for n, one in found.items() if isinstance(one, Failed)}
    expected = {"damaged": GranuleError, "full": MachineError}
    assert kinds == expected | {"bug": TaskError, "memory": TaskError}
    assert "unexpected ZeroDivisionError: division by zero" in errors(found)["bug"]
    bug = found["bug"]
    assert isinstance(bug, Failed) and bug.trace and "faulty_tasks.py" in bug.trace
    assert isinstance(found["good"], Done)
    assert not verification(store).temporaries


def test_errors_of_tasks_are_values(store: Store) -> None:
    check_errors(Alone(), store)


def test_errors_of_tasks_are_values_in_workers_too(pair: Crew, store: Store) -> None:
    check_errors(pair, store)


def test_a_task_that_cannot_be_read_takes_no_neighbour_with_it(pair: Crew, store: Store) -> None:
    tasks: list[Any] = [Faulty(f"good{i}") for i in range(60)]
    tasks.insert(20, Unreadable(Faulty("lost")))  # by then short tasks go together
    found = {one.task.name: one for one in pair.each(tasks, store, Stop())}
    assert list(errors(found)) == ["lost"] and "in a worker: " in errors(found)["lost"]
    assert len(found) == 61


def test_a_stop_lets_the_tasks_at_hand_end(
    pair: Crew, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them ends before workers know that those not begun were taken back."""
    from rsei.engine.run import workers

    def call_back(people: workers.Workers, running: Any) -> None:
        taken_back(people, running)
        while any(people.client.run(waiting).values()):
            time.sleep(0.01)
        (store.folder / RELEASED).touch()

    taken_back = workers.Workers._call_back
    monkeypatch.setattr(workers.Workers, "_call_back", call_back)
    tasks = [Faulty("first"), *(Faulty(f"held{i}", "held") for i in range(20))]
    stop = Stop()
    found: list[Done | Failed] = []
    with stop.patiently():
        for one in pair.each(tasks, store, stop):
            if not found:
                stop.ask()
            found.append(one)
    assert 1 <= len(found) <= 4 and all(isinstance(one, Done) for one in found)
    # one that ends at this very moment is committed, and not told
    assert len(found) <= len(list(store.markers())) <= 4


def test_what_a_worker_ended_before_it_died_is_done_and_not_found_done(
    pair: Crew, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rsei.engine.run import workers

    def together(tasks: list[Any], slots: Any) -> Stream:
        stream = Stream(tasks, lambda: 1)
        stream.seconds = 0.0
        return stream

    monkeypatch.setattr(workers, "Stream", together)
    names = ("made", "too")
    (early,) = Alone().each([Faulty("early")], store, Stop())
    tasks = [Faulty("early"), *map(Faulty, names), Faulty("unlucky", "kill", times=1)]
    found = outcomes(pair, tasks, store)
    assert isinstance(early, Done) and early.fresh and errors(found) == {}
    fresh = {name: isinstance(one, Done) and one.fresh for name, one in found.items()}
    assert fresh == {"early": False, "made": True, "too": True, "unlucky": True}
    assert [task.tries(store) for task in tasks] == [1, 1, 1, 2]


def test_a_second_wish_and_one_before_the_first_task_interrupt() -> None:
    stop = Stop()
    with pytest.raises(KeyboardInterrupt):
        stop.ask()
    with stop.patiently():
        stop.ask()
        with pytest.raises(KeyboardInterrupt):
            stop.ask()


def test_too_little_memory_for_a_worker_is_a_usage_error() -> None:
    options = RunOptions(workers=16)
    with pytest.raises(StudyError, match="at least 512 MiB"), crew(options, MEMORY, SILENT):
        pass


SILENT = studies.Silent()


def test_no_scheduler_is_an_environment_error(monkeypatch: pytest.MonkeyPatch) -> None:
    from rsei.engine.run import clusters

    monkeypatch.setattr(clusters, "ANSWER", 0.2)
    options = RunOptions(scheduler="tcp://127.0.0.1:9")
    refusal = pytest.raises(MachineError, match="expected a Dask scheduler, found none")
    with refusal, crew(options, MEMORY, SILENT):
        pass


DRIVER = """
import sys, time
from pathlib import Path
import studies
from faulty_tasks import Faulty, Killer
from rsei.engine.run.cluster import crew
from rsei.engine.run.orders import RunOptions, Stop
from rsei.engine.run.store import Store
if __name__ == "__main__":
    store = Store(Path(sys.argv[1]))
    with crew(RunOptions(workers=2), 2 << 30, studies.Silent()) as people:
        for one in people.each([Faulty(f"slow{i}", "slow") for i in range(50)], store, Stop()):
            print("one", flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_worker_outlives_its_run(store: Store, number: signal.Signals, tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    paths = {"PYTHONPATH": str(Path(studies.__file__).parent)}
    command = [sys.executable, str(script), str(store.folder)]
    with subprocess.Popen(command, stdout=-1, stderr=-1, env=os.environ | paths) as child:
        assert child.stdout and child.stdout.readline() == b"one\n"
        family = psutil.Process(child.pid).children(recursive=True)
        assert len(family) >= 2
        child.send_signal(number)
        child.wait(120)
    _, alive = psutil.wait_procs(family, timeout=120)
    assert alive == []


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["sys.exit", "graceful", "segfault"])
def test_workers_that_are_killed_all_the_time(
    mode: str, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask's own chaos plugin ends each worker, and each that comes in its place."""
    from rsei.engine.run import clusters

    monkeypatch.setattr(clusters, "Steadfast", lambda: Killer(delay="8 s", mode=mode))
    with crew(RunOptions(workers=2), MEMORY, SILENT) as people:
        found = outcomes(people, [Faulty(f"brief{i}", "brief") for i in range(90)], store)
    assert errors(found) == {}
    assert len(list(store.markers())) == 90 and verification(store).intact


@pytest.mark.slow
def test_workers_that_dask_has_given_up_are_replaced_while_a_task_is_alone(store: Store) -> None:
    from rsei.engine.run import workers

    with crew(RunOptions(workers=2), MEMORY, SILENT) as people:
        assert isinstance(people, workers.Workers) and people.own

        async def give_up(nannies: list[Nanny]) -> None:
            await asyncio.gather(*(one.close() for one in nannies))

        people.own.sync(give_up, list(people.own.workers.values()))
        ended = people._ended(iter([(Faulty("good"),)]), store, Stop(), 1)
        assert [future.status for _, future in ended] == ["finished"]


@pytest.mark.slow
def test_two_runs_on_one_folder_help_each_other(tmp_path: Path) -> None:
    granules = studies.write_some(tmp_path / "granules")
    whole = studies.run(studies.written(tmp_path / "whole", granules), until="write")
    file = studies.written(tmp_path / "both", granules)
    command = [sys.executable, "-c", "from rsei.cli.main import app; app()", "run", str(file)]
    runs = [subprocess.Popen([*command, "--until", "write"]) for _ in range(2)]
    assert [run.wait(120) for run in runs] == [0, 0]
    assert hashes(tmp_path / "both/run") == hashes(whole.out)
    found = verification(Store(tmp_path / "both/run"))
    assert found.intact and not found.temporaries and not found.orphaned


@pytest.mark.slow
def test_a_running_cluster_is_used_and_stays(store: Store) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as cluster:
        options = RunOptions(scheduler=cluster.scheduler_address)
        for _ in range(2):
            with crew(options, MEMORY, SILENT) as people:
                found = outcomes(people, [Faulty(f"good{i}") for i in range(9)], store)
                assert errors(found) == {}
        assert len(cluster.scheduler.workers) == 2
