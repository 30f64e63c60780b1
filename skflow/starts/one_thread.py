"""Linear algebra of small matrices on one thread.

More threads would wait for each other: beside another busy process a product of 9 x 9 matrices
takes as long as the scheduler lets the second thread wait, and a search makes thousands.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from threadpoolctl import ThreadpoolController


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
    """Limit BLAS, and scikit-learn's OpenMP in this thread; torch's own threads are left alone."""
    of_torch = Path(torch.__file__).parent
    openmp = ThreadpoolController().select(user_api="openmp")
    paths = [one.filepath for one in openmp.lib_controllers]
    beside_torch = [path for path in paths if of_torch not in Path(path).parents]
    with _BLAS, openmp.select(filepath=beside_torch).limit(limits=1):
        yield
