# SPDX-License-Identifier: Apache-2.0
"""A GPU of two streams that is none: it does what it was told when a schedule says so, not before.

A copy reads the host's memory and a kernel the device's when they run, so that what is written over
too early is seen in what comes out.
"""

import ctypes
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Machine:
    """A GPU whose streams go on by a schedule: how many steps between two calls, and of which."""

    def __init__(self, schedule: list[int]) -> None:
        self.schedule, self.at = schedule, 0
        self.streams = [Stream(self), Stream(self)]
        self.current, self.copies = self.streams
        self.freed: list[Any] = []
        self.idle: list[Any] = []

    def goes_on(self) -> None:
        """Between two calls of the host some of what was told is done, or nothing."""
        if self.schedule:
            number = self.schedule[self.at % len(self.schedule)]
            self.at += 1
            for step in range(number // 2):
                self.streams[(number + step) % 2].step()

    def until(self, done: Callable[[], bool]) -> None:
        """The host waits: the streams go on, the one that is asked for last."""
        while not done():
            if not any([self.current.step(), self.copies.step()]):
                raise AssertionError("the host waits for what nobody will do")


class Stream:
    """Work in the order it was told."""

    ptr = 0

    def __init__(self, machine: Machine) -> None:
        self.machine, self.work = machine, deque[tuple[Callable[[], bool], Callable[[], None]]]()

    def tell(self, do: Callable[[], None], ready: Callable[[], bool] = lambda: True) -> None:
        self.work.append((ready, do))
        self.machine.goes_on()

    def step(self) -> bool:
        if not self.work or not self.work[0][0]():
            return False
        self.work.popleft()[1]()
        return True

    def wait_event(self, event: "Event") -> None:
        mark = event.mark
        self.tell(lambda: None, lambda: mark["done"])

    def synchronize(self) -> None:
        self.machine.until(lambda: not self.work)


class Event:
    """A mark in a stream; asked for, it is the one that was made last, as CUDA has it."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.mark = machine, {"done": True}

    def record(self, stream: Stream) -> None:
        mark = self.mark = {"done": False}
        stream.tell(lambda: mark.update(done=True))

    def synchronize(self) -> None:
        mark = self.mark
        self.machine.until(lambda: mark["done"])


class Memory:
    """Memory of the device; given back, the current stream's next owner writes over it."""

    def __init__(self, machine: Machine, size: int) -> None:
        self.machine, self.bytes = machine, np.zeros(size, np.uint8)

    def __del__(self) -> None:
        self.machine.freed.append(self.bytes)
        kept = self.bytes
        self.machine.current.tell(lambda: kept.setflags(write=False))


class Array:
    """An array of the device, or its first dates."""

    def __init__(self, memory: Memory, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        assert dtype.isnative, "CuPy has no types of the other order"
        self.memory, self.shape, self.dtype = memory, shape, dtype

    @property
    def data(self) -> "Array":
        return self

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: slice) -> "Array":
        return Array(self.memory, (min(key.stop, len(self)), *self.shape[1:]), self.dtype)

    def copy_from_host_async(self, address: int, size: int, stream: Stream) -> None:
        memory = self.memory.bytes

        def copy() -> None:
            assert memory.flags.writeable, "a copy into memory that has another owner"
            memory[:size] = np.frombuffer(ctypes.string_at(address, size), np.uint8)

        stream.tell(copy)

    def read(self) -> NDArray[Any]:
        """What it holds now."""
        size = int(np.prod(self.shape)) * self.dtype.itemsize
        return self.memory.bytes[:size].view(self.dtype).reshape(self.shape)


class Inline:
    """A reader that is as quick as can be, or as slow: its job is done when told, or when due."""

    eager = True

    def __init__(self, *args: Any) -> None: ...

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *args: Any) -> None: ...

    def submit(self, job: Callable[..., Any], *args: Any) -> Any:
        if not self.eager:
            return SimpleNamespace(result=lambda: job(*args))
        future: Future[Any] = Future()
        try:
            future.set_result(job(*args))
        except Exception as error:
            future.set_exception(error)
        return future
