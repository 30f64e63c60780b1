"""Linear algebra of small matrices on one thread.

More threads would wait for each other: beside another busy process a product of 9 x 9 matrices
takes as long as the scheduler lets the second thread wait, and a search makes thousands, a training
tens of thousands. Numbers of threads are those of the process, or of this thread, again afterwards.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from threadpoolctl import ThreadpoolController
from torch import nn

from skflow.kernels.native_coupling import on_threads
from skflow.training.settings import Settings

SMALL_STEP = 2e8  # multiplications of a forward pass, some milliseconds on one core


class _SharedLimit:
    """One thread for BLAS, whose number of threads is one for the whole process.

    Searches in several threads may overlap: the first one in sets the limit, the last one out gives
    the former numbers back.
    """

    def __init__(self):
        self._lock, self._users, self._former = threading.Lock(), 0, []

    def __enter__(self):
        with self._lock:
            if self._users == 0:
                self._former = []
                for library in ThreadpoolController().select(user_api="blas").lib_controllers:
                    n_threads = library.num_threads
                    library.set_num_threads(1)
                    # Not if another thread has a limit of its own, which it will take back.
                    if n_threads != 1 and library.num_threads == 1:
                        self._former.append((library, n_threads))
            self._users += 1

    def __exit__(self, *error):
        with self._lock:
            self._users -= 1
            if self._users == 0:
                for library, n_threads in self._former:
                    _release(library, force=True)  # the thread that was first in may be at work
                    library.set_num_threads(n_threads)
                    _release(library)


def _release(library, **force) -> None:
    """Let other threads set limits too: newer versions of threadpoolctl give that to one only."""
    if hasattr(library, "clear_controlling_thread"):
        library.clear_controlling_thread(**force)


_BLAS = _SharedLimit()


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit BLAS to one thread, and OpenMP, torch's included, in this thread; then restore both."""
    with _BLAS, ThreadpoolController().select(user_api="openmp").limit(limits=1):
        yield


@contextmanager
def _one_but_for_kernels() -> Iterator[None]:
    """Kernels share a step between threads at two places; not every operation does."""
    with on_threads(torch.get_num_threads()), one_thread():
        yield


def where_small(flow: nn.Module, settings: Settings) -> AbstractContextManager[None]:
    """One thread where a step's products are small and on the CPU; else as many as there are."""
    n_numbers = sum(parameter.numel() for parameter in flow.parameters())
    convolves = any(isinstance(module, nn.Conv2d) for module in flow.modules())
    small = n_numbers * settings.batch_size < SMALL_STEP and not convolves
    return _one_but_for_kernels() if small and settings.device.type == "cpu" else nullcontext()
