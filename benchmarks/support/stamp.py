"""What produced a number: commit, date, machine, threads, versions."""

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = "benchmarks/results"


def stamp(commit: str | None = None) -> dict[str, str]:
    """The columns that all rows of a run share; `commit` where there is no git to ask."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "commit": commit or current_commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "host": host(),
        "device": torch.cuda.get_device_name() if cuda else "cpu",
        "threads": str(torch.get_num_threads()),
        "versions": versions(),
    }


def git(*arguments: str, root: Path = ROOT) -> str | None:
    """What git answers about this checkout; None outside one, or where git knows no answer."""
    if not (root / ".git").exists():  # else git would answer for a checkout around this one
        return None
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def current_commit(root: Path = ROOT) -> str:
    commit = git("rev-parse", "--short=10", "HEAD", root=root)
    if commit is None:
        return "unknown"
    # The results themselves change with every piece.
    others = (".", f":!{RESULTS}")
    changed = git("status", "--porcelain", "--untracked-files=no", "--", *others, root=root)
    return commit + ("+dirty" if changed else "")


def is_older(commit: str, root: Path = ROOT) -> bool | None:
    """Whether skflow/ has changed since; None outside a checkout or for a commit unknown to it."""
    last = git("log", "-1", "--format=%H", "--", "skflow", root=root)
    then = git("log", "-1", "--format=%H", commit.removesuffix("+dirty"), "--", "skflow", root=root)
    return None if not last or not then else last != then


def host() -> str:
    """Processor and number of cores, nothing that tells one machine from its likes."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    except OSError:
        model = platform.processor() or model
    return f"{model}, {os.cpu_count()} cores"


def versions() -> str:
    found = [f"python {platform.python_version()}"]
    for name, short in (("torch", "torch"), ("scikit-learn", "sklearn")):
        found.append(f"{short} {version(name)}")
    try:
        found.append(f"skflow {version('scikit-flow')}")
    except PackageNotFoundError:  # a checkout that is not installed
        import skflow

        found.append(f"skflow {skflow.__version__}")
    return " ".join(found)
