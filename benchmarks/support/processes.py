"""Work in a process of its own, with the most memory that it held."""

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path


def in_fresh_process(work: Callable[..., dict], *arguments) -> dict:
    """What `work` returns, and "resident_mib": of a new interpreter, its libraries included."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, work, arguments).result()


def _measured(work, arguments) -> dict:
    found = work(*arguments)
    return {**found, "resident_mib": most_resident()}


def most_resident() -> float:
    """In MiB. Not `getrusage`, whose maximum begins with what the process that started it held."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**10
    raise OSError("this system does not say how much memory a process held")
