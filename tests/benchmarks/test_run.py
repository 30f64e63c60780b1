"""Every benchmark that is named can be imported and listed; every table can be made."""

import importlib

import pytest

from benchmarks import run
from benchmarks.support import results
from benchmarks.support.views import kinds
from benchmarks.support.views.catalogue import VIEWS


def test_list_names_all_with_a_line_each(capsys):
    assert run.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(run.NAMES)
    assert "density" in run.NAMES
    assert all(line.endswith(".") for line in lines)


def test_an_unknown_name_is_refused():
    assert "no benchmark 'densty'" in str(run.main(["densty"]))


@pytest.mark.parametrize("name", run.NAMES)
def test_every_benchmark_lists_its_pieces(name, tmp_path):
    module = importlib.import_module(f"benchmarks.{name}")
    options = run.parsed(name, module, ["--data", str(tmp_path), "--list"])
    keys = [(piece.task, piece.method, piece.seed) for piece in module.pieces(options)]
    assert keys
    assert len(set(keys)) == len(keys)


def test_results_in_the_repository_are_of_pieces_that_exist(tmp_path):
    for name in run.NAMES:
        module = importlib.import_module(f"benchmarks.{name}")
        options = run.parsed(name, module, ["--data", str(tmp_path)])
        known = {(piece.task, piece.method) for piece in module.pieces(options)}
        found = {(row["task"], row["method"]) for row in results.read(name)}
        assert found <= known, name


@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.name)
def test_every_table_says_what_made_it(view):
    text = view.text()
    assert view.benchmark in run.NAMES
    assert "Measured by " in text or text.startswith("Not measured yet: python benchmarks/run.py")


def test_a_table_without_results_says_how_to_get_them(tmp_path):
    kinds.write_all(tmp_path / "out", tmp_path)
    texts = [path.read_text() for path in (tmp_path / "out").glob("*.txt")]
    assert len(texts) == len(VIEWS)
    assert all(text.startswith("Not measured yet") for text in texts)


ROW = {
    "commit": "abc",
    "date": "2026-01-01",
    "host": "CPU, 2 cores",
    "device": "cpu",
    "threads": "1",
    "versions": "python 3",
    "task": "t",
    "method": "m",
    "seed": "0",
    "metric": "nats",
    "value": "1.23456",
    "se": "0.5",
    "seconds": "2",
}


def test_lines_hold_values_errors_and_seconds():
    build = kinds.lines("method", ("nats:.3f", "se of nats", "seconds:.1f", "epochs:d"))
    table = build(kinds.Results([ROW]))
    assert table.splitlines()[3].split() == ["m", "1.235", "0.50", "2.0", "-"]


@pytest.mark.parametrize("older", [True, False, None])
def test_only_results_older_than_the_code_are_marked(older):
    text = kinds.provenance([ROW], older=lambda commit: older)
    assert "Measured by abc on 2026-01-01: cpu, 1 thread; host: CPU, 2 cores." in text
    assert ("OLDER THAN THE CODE" in text) == bool(older)


def test_changes_without_a_commit_are_said():
    text = kinds.provenance([{**ROW, "commit": "abc+dirty"}], older=lambda commit: None)
    assert "no commit holds" in text
