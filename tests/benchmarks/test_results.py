"""The runner on a toy benchmark: rows written, replaced, compared, stamped, merged."""

import platform
import subprocess
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import run
from benchmarks.support import results, stamp
from benchmarks.support.pieces import Outcome, Piece, mean_and_error

MADE_BY = dict.fromkeys(results.STAMP, "x")


def toy(values: dict[str, float], rows: bool = True) -> SimpleNamespace:
    """A benchmark of one task with a method for every value; NaN fails."""

    def piece(method, value, seed):
        def measure():
            if np.isnan(value):
                raise ValueError("not\na number")
            scores = np.array([value, value + 1, value + 3])
            kept = {"scores": scores} if rows else {}
            return Outcome(0.5, {"nats": mean_and_error(scores), "exact": True}, kept)

        return Piece("group/task", method, measure, seed)

    def pieces(options):
        for seed in options.seeds or (0,):
            yield from (piece(method, value, seed) for method, value in values.items())

    def compare(ours, other):
        return {"nats": mean_and_error(ours["scores"] - other["scores"])}

    return SimpleNamespace(__doc__="Toy.", pieces=pieces, OURS=("ours",), compare=compare)


def go(module, tmp_path, *arguments: str, commit: str = "abc") -> int:
    options = ["--out", str(tmp_path), "--commit", commit, *arguments]
    return run.run("toy", module, run.parsed("toy", module, options))


def read(tmp_path) -> dict[tuple[str, str, str], dict[str, str]]:
    return {(r["method"], r["seed"], r["metric"]): r for r in results.read("toy", tmp_path)}


def test_rows_are_written_and_stamped(tmp_path):
    assert go(toy({"ours": 1.0}), tmp_path) == 0
    rows = read(tmp_path)
    nats = rows["ours", "0", "nats"]
    assert tuple(nats) == results.COLUMNS
    assert (nats["task"], nats["value"], nats["seconds"]) == ("group/task", "2.3333333", "0.5")
    assert float(nats["se"]) == pytest.approx(np.std([1, 2, 4], ddof=1) / 3**0.5, rel=1e-3)
    assert rows["ours", "0", "exact"]["value"] == "1"
    assert nats["commit"] == "abc"
    assert nats["device"] == "cpu"
    assert nats["host"].endswith("cores")
    assert platform.node() not in nats["host"]
    for name in ("python", "torch", "sklearn", "skflow"):
        assert f"{name} " in nats["versions"]


def test_a_piece_replaces_its_own_rows_only(tmp_path):
    module = toy({"ours": 1.0, "peer": 0.0})
    go(module, tmp_path, "--seeds", "0", "1")
    again = toy({"ours": 5.0, "peer": 7.0})
    go(again, tmp_path, "--methods", "o*", "--only", "group", commit="def")
    rows = read(tmp_path)
    assert rows["ours", "0", "nats"]["commit"] == "def"
    assert float(rows["ours", "0", "nats"]["value"]) == pytest.approx(5 + 4 / 3)
    for key in (("ours", "1", "nats"), ("peer", "0", "nats"), ("peer", "1", "exact")):
        assert rows[key]["commit"] == "abc"
    assert rows["ours", "0", "nats minus peer"]["value"] == "5"


def test_what_compares_with_a_method_goes_with_its_rows(tmp_path):
    go(toy({"ours": 1.0, "peer": 0.0}), tmp_path)
    difference = read(tmp_path)["ours", "0", "nats minus peer"]
    assert (difference["value"], difference["se"], difference["seconds"]) == ("1", "0", "")
    go(toy({"peer": 0.5}, rows=False), tmp_path)
    assert ("ours", "0", "nats minus peer") not in read(tmp_path)


def test_a_failure_is_a_result_and_leaves_no_older_one(tmp_path, capfd):
    go(toy({"ours": 1.0}), tmp_path)
    assert go(toy({"ours": np.nan}), tmp_path) == 1
    rows = read(tmp_path)
    assert list(rows) == [("ours", "0", "note")]
    assert rows["ours", "0", "note"]["value"] == "FAILED ValueError: not a number"


def test_resume_skips_what_this_commit_has_measured(tmp_path):
    go(toy({"ours": 1.0}), tmp_path)
    go(toy({"ours": 2.0, "peer": 0.0}), tmp_path, "--resume")
    assert float(read(tmp_path)["ours", "0", "nats"]["value"]) == pytest.approx(1 + 4 / 3)
    assert ("peer", "0", "nats") in read(tmp_path)
    go(toy({"ours": 2.0}), tmp_path, "--resume", commit="def")
    assert float(read(tmp_path)["ours", "0", "nats"]["value"]) == pytest.approx(2 + 4 / 3)


def test_listing_runs_nothing(tmp_path, capsys):
    assert go(toy({"ours": np.nan}), tmp_path, "--list", "--seeds", "3") == 0
    assert capsys.readouterr().out == "group/task\tours\t3\n"
    assert not (tmp_path / "toy.csv").exists()


def test_nothing_chosen_is_said(tmp_path, capsys):
    assert go(toy({"ours": 1.0}), tmp_path, "--methods", "other") == 1
    assert "nothing to run" in capsys.readouterr().out


def test_writers_do_not_lose_rows_of_one_another(tmp_path):
    def add(seed):
        piece = Piece("task", "method", lambda: None, seed)
        results.add("toy", piece, Outcome(0.0, {"value": float(seed)}), MADE_BY, tmp_path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add, range(40)))
    assert {int(seed) for _, seed, _ in read(tmp_path)} == set(range(40))


def test_merging_takes_over_pieces_of_another_machine(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    go(toy({"ours": 1.0, "peer": 0.0}), here)
    go(toy({"ours": 2.0, "other": 0.0}), there, commit="def")
    assert run.main(["merge", str(there), "--out", str(here)]) == 0
    rows = read(here)
    assert rows["ours", "0", "nats"]["commit"] == rows["other", "0", "nats"]["commit"] == "def"
    assert rows["peer", "0", "nats"]["commit"] == "abc"
    assert ("ours", "0", "nats minus peer") not in rows  # of the older fit
    assert ("ours", "0", "nats minus other") in rows


@pytest.fixture
def checkout(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *arguments], cwd=tmp_path, check=True, timeout=60)

    def commit(path):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(f"{stamp.git('rev-list', '--count', 'HEAD', root=tmp_path)}")
        git("add", "-A")
        git("commit", "-q", "-m", path)
        return stamp.current_commit(tmp_path)

    git("init", "-q")
    return commit


def test_a_commit_is_dirty_by_code_and_not_by_results(checkout, tmp_path):
    checkout("skflow/a.py")
    clean = checkout(f"{stamp.RESULTS}/toy.csv")
    (tmp_path / stamp.RESULTS / "toy.csv").write_text("new")
    assert stamp.current_commit(tmp_path) == clean
    (tmp_path / "skflow/a.py").write_text("new")
    assert stamp.current_commit(tmp_path) == f"{clean}+dirty"


def test_results_are_older_than_the_code_once_skflow_has_changed(checkout, tmp_path):
    first, docs = checkout("skflow/a.py"), checkout("docs/a.rst")
    assert stamp.is_older(first, tmp_path) is False
    assert stamp.is_older(f"{docs}+dirty", tmp_path) is False
    last = checkout("skflow/b.py")
    assert stamp.is_older(first, tmp_path) is stamp.is_older(docs, tmp_path) is True
    assert stamp.is_older(last, tmp_path) is False
    assert stamp.is_older("0123456789", tmp_path) is None  # another history's


def test_outside_a_checkout_nothing_is_said_of_age(tmp_path):
    assert stamp.current_commit(tmp_path) == "unknown"
    assert stamp.is_older("abc", tmp_path) is None
