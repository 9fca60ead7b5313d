# SPDX-License-Identifier: Apache-2.0
"""Tasks in batches: none is lost, short ones go together, and there is something for everybody."""

from faulty_tasks import Faulty
from hypothesis import given
from hypothesis import strategies as st

from rsei.engine.run.batches import MOST, ROUND, Stream
from rsei.engine.run.store import Marker
from rsei.engine.run.tasks import Done

MARKER = Marker("partial", "a", "", {}, {}, None, {}, {}, "")


def stream(count: int, slots: int, seconds: float | None) -> Stream:
    found = Stream([Faulty(str(n)) for n in range(count)], lambda: slots)
    if seconds is not None:
        found.learn(Done(Faulty("a"), MARKER, True, seconds))
    return found


@given(st.integers(0, 300), st.integers(1, 200), st.none() | st.floats(0, 10))
def test_every_task_is_handed_out_once_in_its_order(
    count: int, slots: int, seconds: float | None
) -> None:
    batches = list(stream(count, slots, seconds))
    assert [task.name for batch in batches for task in batch] == [str(n) for n in range(count)]
    assert all(1 <= len(batch) <= MOST for batch in batches)
    if seconds is None or seconds > ROUND / 2 or count < 2 * slots:
        assert all(len(batch) == 1 for batch in batches)
    else:
        assert len(batches) >= min(count, slots)


def test_short_tasks_go_together_until_few_are_left() -> None:
    sizes = [len(batch) for batch in stream(100, 6, 0.05)]
    assert sizes[:3] == [10, 10, 10] and sizes[-6:] == [1] * 6
    assert sizes == sorted(sizes, reverse=True)


def test_tasks_are_as_long_as_the_last_ones() -> None:
    found = stream(1000, 6, 1e-4)
    assert len(next(found)) == MOST
    for _ in range(20):
        found.learn(Done(Faulty("a"), MARKER, True, 2.0))
    assert len(next(found)) == 1


def test_what_comes_back_goes_out_last_and_alone() -> None:
    found = stream(40, 2, 1e-3)
    found.again.extend(next(found))
    again = list(found)[-MOST:]
    assert [[task.name for task in batch] for batch in again] == [[str(n)] for n in range(MOST)]
