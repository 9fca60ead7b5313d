# SPDX-License-Identifier: Apache-2.0
"""Threads of Numba's CUDA simulator that are waited for.

Their manager asks each of them again and again whether it has come to a barrier or to its end, and
while it asks none can run: half of the processor's time goes by like that.
"""

from typing import Any

from numba.cuda.simulator import kernel

THREADS, BLOCKS = 64, 3
"""Shape of launches, whose threads are Python's: two warps, and fewer blocks than items want."""


class Waited(kernel.BlockThread):
    """A thread that is given a moment to come to its barrier or end before it is asked."""

    def is_alive(self) -> Any:
        """Whether it has not ended."""
        if not self.syncthreads_blocked:
            self.join(2e-4)
        return super().is_alive()


def installed() -> None:
    """Let kernels that are simulated have such threads."""
    kernel.BlockThread = Waited
