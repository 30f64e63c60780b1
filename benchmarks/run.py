"""Run a benchmark, whole or in pieces, and keep what it measured in benchmarks/results/NAME.csv.

    python benchmarks/run.py list
    python benchmarks/run.py density --data DIR
    python benchmarks/run.py density --data DIR --only concrete digits --methods skflow "kde*"
    python benchmarks/run.py density --data DIR --list
    python benchmarks/run.py merge OTHER/results

A piece is one method on one task with one seed. Its rows are written when it is done, those of an
earlier run of it replaced and all others kept, so pieces may run in processes of their own, side by
side, and ``--resume`` goes on after an interruption. ``merge`` takes over the results of another
machine. The tables of the documentation are made from these files.
"""

import argparse
import ast
import importlib
import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent)]  # this checkout, installed or not; `benchmarks` is in it

NAMES = tuple(sorted(path.stem for path in HERE.glob("[a-z]*.py") if path.stem != "run"))


def main(arguments: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if arguments is None else arguments
    command = arguments[0] if arguments else "--help"
    if command == "list":
        print("\n".join(f"{name:16} {headline(name)}" for name in NAMES))
        return 0
    if command == "merge":
        return merge(arguments[1:])
    if command in NAMES:
        return benchmark(command, arguments[1:])
    print(f"{__doc__}\nBenchmarks: {', '.join(NAMES)}")
    return 0 if command in ("-h", "--help") else f"there is no benchmark {command!r}"


def headline(name: str) -> str:
    """The first line of a benchmark's docstring, without importing it."""
    source = (HERE / f"{name}.py").read_text(encoding="utf-8")
    return ast.get_docstring(ast.parse(source)).splitlines()[0]


def benchmark(name: str, arguments: list[str]) -> int:
    """Run the pieces asked for; the exit status is 1 where one of them failed."""
    if "cuda" not in arguments and "--device=cuda" not in arguments:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""  # before torch looks: peers and ours on the CPU
    module = importlib.import_module(f"benchmarks.{name}")
    return run(name, module, parsed(name, module, arguments))


def run(name: str, module, options: argparse.Namespace) -> int:
    from benchmarks.support import results
    from benchmarks.support.pieces import chosen
    from benchmarks.support.stamp import stamp
    from benchmarks.support.views.kinds import tables_of

    pieces = list(chosen(module.pieces(options), options))
    if options.list:
        print("\n".join(f"{p.task}\t{p.method}\t{p.seed}" for p in pieces))
        return 0
    if not pieces:
        print("nothing to run: is --data missing?")
        return 1
    made_by = stamp(options.commit)
    done = results.read(name, options.out) if options.resume else []
    of_this_commit = {
        (row["task"], row["method"], int(row["seed"]))
        for row in done
        if row["commit"] == made_by["commit"]
    }
    failures = 0
    for piece in pieces:
        if (piece.task, piece.method, piece.seed) in of_this_commit:
            continue
        outcome = piece.outcome()
        failures += str(outcome.metrics.get("note", "")).startswith("FAILED")
        results.add(
            name,
            piece,
            outcome,
            made_by,
            options.out,
            getattr(module, "OURS", ()),
            getattr(module, "compare", None),
        )
        measured = {metric: _short(value) for metric, value in outcome.metrics.items()}
        print(
            f"{piece.task} | {piece.method} | seed {piece.seed} | {_short(outcome.seconds)} s | "
            f"{measured} | load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    for title, table in tables_of(name, options.out):
        print(f"\n{title}\n\n{table}")
    return 1 if failures else 0


def _short(value):
    if isinstance(value, tuple):
        return tuple(map(_short, value))
    return round(float(value), 4) if hasattr(value, "__float__") else value


def merge(arguments: list[str]) -> int:
    from benchmarks.support import results

    parser = argparse.ArgumentParser("run.py merge", description="Take over others' results.")
    parser.add_argument("folders", type=Path, nargs="+", help="with NAME.csv files")
    parser.add_argument("--out", type=Path, default=results.FOLDER)
    options = parser.parse_args(arguments)
    for folder in options.folders:
        for path in sorted(folder.glob("*.csv")):
            rows = results.read(path.stem, folder)
            results.combine(path.stem, rows, options.out)
            print(f"{path.stem}: {len(rows)} rows")
    return 0


def parsed(name: str, module, arguments: list[str]) -> argparse.Namespace:
    """The options that all benchmarks have, and those of this one."""
    from benchmarks.support import results

    parser = argparse.ArgumentParser(
        f"run.py {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", help="folder that holds tabular/, mixed/, image/, pointcloud/")
    parser.add_argument("--only", nargs="+", help="tasks, or groups of them; * stands for anything")
    parser.add_argument("--methods", nargs="+", help="methods; * stands for anything")
    parser.add_argument("--seeds", nargs="+", type=int, help="seeds, of tasks that have several")
    parser.add_argument("--list", action="store_true", help="print task, method, seed; run nothing")
    parser.add_argument("--resume", action="store_true", help="skip what this commit has measured")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=results.FOLDER, help="folder of the results")
    parser.add_argument("--commit", help="to stamp results with, outside a git checkout")
    if hasattr(module, "add_options"):
        module.add_options(parser)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
