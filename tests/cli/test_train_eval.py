"""`train-eval` as a user calls it: price, results, table, JSON and page; what is wrong is said in a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
import time

import pytest

from mergeit_ops.cli import main
from tests.recipe_runs import write_jsonl
from tests.report.test_page import assert_stands_alone
from tests.tiny_models import gpt2_folder
from tests.training.tiny_experiment import rows, student_folder


@pytest.fixture
def files(tmp_path):
    return {
        name: str(write_jsonl(tmp_path / f"{name}.jsonl", content))
        for name, content in {
            "a": rows(20, seed=1),
            "b": rows(30, seed=2),
            "pool": rows(150),
            "held": rows(15, seed=9),
        }.items()
    }


def arguments_of(files, *arguments, sets=("a", "b"), student=None, draws=2):
    given = ["train-eval", *(files[name] for name in sets), "--pool", files["pool"], "--heldout", files["held"]]
    given += ["--student", student or student_folder(), "--device", "cpu", "--draws", str(draws), "--seeds", "1"]
    return [*given, "--layers", "1", "--step-tokens", "64", "--max-length", "120", *map(str, arguments)]


def call(capsys, files, *arguments, **options):
    code = main(arguments_of(files, *arguments, **options))
    return code, capsys.readouterr()


def test_a_whole_experiment(files, tmp_path, capsys):
    results, page = tmp_path / "results.jsonl", tmp_path / "page.html"
    options = ("--results", results, "--answer-tokens", 60)
    code, printed = call(capsys, files, *options, "--dry-run")
    assert code == 0
    assert "10 trainings on " in printed.err
    assert not results.exists()
    code, printed = call(capsys, files, *options, "--output", page, "--json")
    assert code == 0
    told = json.loads(printed.out)
    assert [one["name"] for one in told["sets"]] == ["a.jsonl", "b.jsonl"]
    assert (told["trainings"], told["repeats"], told["left"]) == (10, 2, 0)
    assert told["experiment"]["answer_tokens"] == 60
    assert_stands_alone(page.read_text(encoding="utf-8"))
    kept = results.read_text(encoding="utf-8")
    assert len(kept.splitlines()) == 1 + 1 + 10
    # Again: nothing is left to do, and nothing is said otherwise.
    code, printed = call(capsys, files, *options, "--json")
    assert "No training is left; 10 are done already." in printed.err
    assert json.loads(printed.out)["sets"] == told["sets"]
    assert results.read_text(encoding="utf-8") == kept


def test_a_further_set_is_added_to_the_same_draws(files, tmp_path, capsys):
    options = ("--results", tmp_path / "results.jsonl", "--answer-tokens", 60)
    call(capsys, files, *options, sets=("a",))
    code, printed = call(capsys, files, *options, sets=("a", "b"))
    assert code == 0
    assert "2 trainings on " in printed.err
    assert "8 are done already" in printed.err
    assert "b.jsonl: Cannot tell" in printed.out


def test_a_method_is_judged_by_what_it_chooses_of_several_pools(files, tmp_path, capsys):
    for folder, count in (("pools", 60), ("method", 12)):
        (tmp_path / folder).mkdir()
        for number in (1, 2, 3):
            write_jsonl(tmp_path / folder / f"{number}.jsonl", rows(60, seed=20 + number)[:count])
    pools = [str(tmp_path / "pools" / f"{number}.jsonl") for number in (1, 2, 3)]
    page = tmp_path / "page.html"
    options = ("--results", tmp_path / "results.jsonl", "--answer-tokens", 60, "--json", "--output", page)

    def judged(*asked, count=3):
        given = arguments_of(files, *options, sets=())
        at = given.index("--pool")
        given[at : at + 2] = [str(tmp_path / "method"), "--pool", *pools[:count]]
        at = given.index("--draws")
        given[at : at + 2] = asked
        return main(given), capsys.readouterr()

    code, printed = judged(count=2)
    assert code == 0
    assert json.loads(printed.out)["trainings"] == 2 * 4
    # A further pool is a further draw: nothing is done again.
    code, printed = judged()
    assert "4 trainings on " in printed.err
    assert "8 are done already" in printed.err
    told = json.loads(printed.out)
    (method,) = told["sets"]
    assert (method["name"], method["draws"], told["repeats"]) == ("method", 3, 3)
    assert [file["path"].rpartition("/")[2] for file in method["files"]] == ["1.jsonl", "2.jsonl", "3.jsonl"]
    assert len(set(told["experiment"]["pools"])) == 3
    assert "method, 3.jsonl" in page.read_text(encoding="utf-8")
    code, printed = judged("--draws", "4")
    assert code == 1
    assert "--draws 4: there are 3 pools, and each is one draw." in printed.err
    (tmp_path / "method" / "2.jsonl").unlink()
    code, printed = judged()
    assert code == 1
    assert "method has no 2.jsonl: with several pools" in printed.err


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(files, tmp_path, capsys):
    results = tmp_path / "results.jsonl"
    options = ("--results", results, "--answer-tokens", 60)
    command = [sys.executable, "-m", "mergeit_ops", *arguments_of(files, *options, draws=40)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as killed:
        until = time.monotonic() + 240
        while not (results.exists() and results.read_text(encoding="utf-8").count("\n") > 3):
            assert killed.poll() is None
            assert time.monotonic() < until
            time.sleep(0.02)
        killed.kill()
    done = results.read_text(encoding="utf-8").count("\n") - 2
    code, printed = call(capsys, files, *options, draws=2)
    assert code == 0
    assert f"{min(done, 10)} are done already" in printed.err
    runs = [json.loads(line) for line in results.read_text(encoding="utf-8").splitlines()[1:]]
    keys = [(run["role"], run["digest"], run["draw"], run["seed"]) for run in runs]
    assert len(keys) == len(set(keys)) == 1 + max(done, 10)


def test_a_student_without_a_chat_template(files, tmp_path, capsys):
    options = ("--results", tmp_path / "results.jsonl", "--answer-tokens", 60)
    code, printed = call(capsys, files, *options, student=gpt2_folder(), draws=1)
    assert code == 0
    assert "The student has no chat template" in printed.err
    assert "One draw gives no interval" in printed.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--pool", "nowhere.jsonl"), "There is no file or folder nowhere.jsonl."),
        (("--answer-tokens", 100_000), "lower it to at most"),
        (("--output", "."), "--output must be a file to write"),
        (("--layers", "7"), "--layers: the student"),
        (("--student", "nowhere/at/all"), "cannot be loaded"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(files, tmp_path, capsys, arguments, said):
    code, printed = call(capsys, files, "--results", tmp_path / "results.jsonl", *arguments)
    assert code == 1
    (line,) = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert said in line
    assert not (tmp_path / "results.jsonl").exists()


@pytest.mark.parametrize(
    "arguments", [("--draws", "0"), ("--learning-rate", "-1"), ("--learning-rate", "nan"), ("--limit-s", "much")]
)
def test_bad_numbers_are_refused(files, capsys, arguments):
    with pytest.raises(SystemExit):
        call(capsys, files, *arguments)
    assert "must be a" in capsys.readouterr().err
