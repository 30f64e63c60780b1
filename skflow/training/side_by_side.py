"""Chunks of rows worked on side by side, each on one thread.

The operations of a flow are many and small. Threads inside of one wait for each other at its end,
and beside a busy process for as long as the scheduler likes; threads that have a chunk each wait
once. Compiled kernels and torch give the interpreter's lock back meanwhile.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from threadpoolctl import ThreadpoolController

from skflow.training.one_thread import one_thread

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def side_by_side(work: Callable[[Chunk], Result], chunks: Sequence[Chunk]) -> list[Result]:
    """``work`` done on every chunk, by as many threads as torch has here; results in order.

    ``work`` must give the same whatever chunks come before.
    """
    n_workers = min(torch.get_num_threads(), len(chunks))
    if n_workers < 2:
        return [work(chunk) for chunk in chunks]
    controller = ThreadpoolController()

    def limited(chunk):
        torch.get_num_threads()  # when first asked in a thread, torch sets the number there
        with controller.select(user_api="openmp").limit(limits=1):
            return work(chunk)

    with one_thread(), ThreadPoolExecutor(n_workers) as pool:
        return list(pool.map(limited, chunks))
