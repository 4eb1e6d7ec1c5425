"""`distill --judge` against a judge on the loopback interface: price, answers kept, a scorer that learns, agreement."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

import pytest

from mergeit_ops.cli import main
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import QualityGateFilter, SampleScoreFilter
from mergeit_ops.scorers.distilled import CONFIG_FILE, WEIGHTS_FILE, DistilledScorer
from tests.conftest import REPOSITORY
from tests.llm_server import FakeLLMServer, Reply, error, judged, parents_of
from tests.recipe_runs import make_dataset, write_jsonl
from tests.tiny_models import word_vectors_folder

ROWS = 320


def by_length(body) -> str:
    """Judge as a model does that likes length: a deterministic function of the text, on the scale 0 to 5."""
    (record,) = parents_of(body)
    return judged(body, round(min(5.0, math.log1p(len(record["output"])) / 1.3), 1))


def at_random(body) -> str:
    """Judge by nothing that the text says."""
    return judged(body, hashlib.sha256(parents_of(body)[0]["output"].encode()).digest()[0] % 6)


def but_some(answer: Callable, wrong: str | Reply, every: int) -> Callable:
    """Spoil the judgement of some texts."""

    def replied(body):
        spoiled = hashlib.sha256(str(body["messages"][-1]).encode()).digest()[0] % every == 0
        return wrong if spoiled else answer(body)

    return replied


@pytest.fixture
def data(tmp_path, sample_rows) -> Path:
    rows = [{name: row[name] for name in ("instruction", "input", "output")} for row in sample_rows]
    distinct = list({json.dumps(row): row for row in rows}.values())
    return write_jsonl(tmp_path / "my.jsonl", distinct[:ROWS])


@pytest.fixture
def distill(tmp_path, data, capsys):
    """Run the command with a judge at a server; return the exit code and what it printed."""

    def run(server, *arguments, judge="alpagasus_accuracy", data=data, output="scorer", **params):
        own = {"api_or_hf_model": "judge", "model_params": {"base_url": server.base_url}} if server else {}
        given = ["--judge", judge, "--judge-params", json.dumps(own | params), "--data", data, "--rows", 120]
        given += ["--embedding-model", word_vectors_folder(), "--output", tmp_path / output, *arguments]
        code = main(["distill", *map(str, given)])
        return code, capsys.readouterr()

    return run


def config_of(folder: Path) -> dict:
    text = (folder / CONFIG_FILE).read_text(encoding="utf-8")
    assert "NaN" not in text
    return json.loads(text)


def calls_told(out: str) -> int:
    return int(re.search(r"Price: ([\d,]+) calls", out)[1].replace(",", ""))


def test_a_scorer_learns_what_the_judge_says_and_tells_at_what_agreement(tmp_path, distill, sample_rows):
    with FakeLLMServer(by_length) as server:
        code, printed = distill(server, "--rows", 300, price_per_1k_prompt=0.1, price_per_1k_completion=0.2)
        asked = len(server.requests)
    assert code == 0
    assert printed.err.count("warning") == 0
    assert calls_told(printed.out) == asked == 300
    assert re.search(r"about [\d,]+ prompt tokens and 30,000 completion tokens, together \d", printed.out)
    assert printed.out.index("Price:") < printed.out.index("Asking llm_judge about 300 rows")
    assert re.search(r"300 rows have a score \(mean [\d.]+, spread [\d.]+, [\d.]+ to [\d.]+\)\.", printed.out)
    assert re.search(r"Spent: 300 calls, .*, [\d.]+ at the given prices\.", printed.out)
    folder = tmp_path / "scorer"
    config = config_of(folder)
    agreement = config["metrics"]["agreement"]
    assert agreement["spearman"] > 0.9
    assert agreement["spearman_low"] <= agreement["spearman"] <= agreement["spearman_high"]
    said = f"the scorer agrees with the judge at a rank correlation of {agreement['spearman']:.2f}"
    assert said in printed.out
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert said in card
    assert "The licence is for you to choose." in card
    made_from = config["made_from"]
    assert (made_from["judge"], made_from["judge_params"]["rubric"]) == ("llm_judge", "alpagasus_accuracy")
    assert (made_from["rows_trained_on"], made_from["rows_held_out"]) == (240, 60)
    assert config["embedding_model"] == made_from["embedding_model"] == word_vectors_folder()
    assert config["score_scale"] == [0.0, 5.0]

    scorer = DistilledScorer(path=str(folder))
    assert scorer.scale == (0.0, 5.0)
    unseen = [Sample(row["instruction"], row["input"], row["output"]) for row in sample_rows[-60:]]
    scores = [score.value for score in scorer.score(unseen)]
    assert all(0 <= score <= 5 for score in scores)
    shortest, *_, longest = sorted(range(60), key=lambda row: len(unseen[row].output))
    assert scores[longest] > scores[shortest] + 1


def test_a_second_run_pays_nothing_and_gives_the_same_scorer_whatever_order_the_rows_stand_in(tmp_path, distill, data):
    rows = data.read_text(encoding="utf-8").splitlines()
    random.Random(1).shuffle(rows)
    # The same row again is not asked about again.
    shuffled = tmp_path / "shuffled.jsonl"
    shuffled.write_text("\n".join([*rows, rows[0], rows[5]]) + "\n", encoding="utf-8")
    with FakeLLMServer(by_length) as server:
        distill(server)
        paid = len(server.requests)
        code, printed = distill(server, output="again", data=shuffled)
        assert len(server.requests) == paid
    assert code == 0
    assert "Price: 0 calls (120 answers are in the journal)" in printed.out
    assert "Duplicates, which the judge scores once: 2." in printed.out
    first, second = ((tmp_path / name / WEIGHTS_FILE).read_bytes() for name in ("scorer", "again"))
    assert first == second


def test_a_larger_sample_pays_for_the_further_rows_only(distill):
    with FakeLLMServer(by_length) as server:
        distill(server, "--rows", 100)
        distill(server, "--rows", 125)
        assert len(server.requests) == 125


def test_a_dry_run_tells_the_price_and_asks_nothing(tmp_path, distill):
    with FakeLLMServer(by_length) as server:
        code, printed = distill(server, "--dry-run")
        assert server.requests == []
    assert code == 0
    assert calls_told(printed.out) == 120
    assert "give price_per_1k_prompt and price_per_1k_completion in --judge-params" in printed.out
    assert "the judge was not called, and nothing was written" in printed.out
    assert not (tmp_path / "scorer").exists()
    # Nor does it take a key, where a judge would.
    assert distill(None, "--dry-run")[0] == 0


def test_a_judge_of_noise_is_told_to_be_too_low_for_a_gate(tmp_path, distill):
    with FakeLLMServer(at_random) as server:
        code, printed = distill(server)
    assert code == 0
    assert "warning: This agreement is too low for a gate, which needs 0.6" in printed.err
    assert config_of(tmp_path / "scorer")["metrics"]["agreement"]["spearman"] < 0.6
    assert "too low for a gate" in (tmp_path / "scorer" / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [("I would say it is fine.", "unparsable"), ("9", "unparsable"), (Reply(text="", refusal="No."), "refused")],
)
def test_rows_without_a_score_are_counted_by_reason_and_left_out(tmp_path, distill, wrong, reason):
    with FakeLLMServer(but_some(by_length, wrong, 12)) as server:
        code, printed = distill(server, try_num=1)
    assert code == 0
    made_from = config_of(tmp_path / "scorer")["made_from"]
    without = made_from["unscored"][reason]
    assert 0 < without <= 20
    assert made_from["rows_scored"] == made_from["rows_trained_on"] + made_from["rows_held_out"] == 120 - without
    assert f"{without} have no score and are left out ({without} {reason})." in printed.out


def test_too_few_scores_and_a_judge_that_fails_are_one_sentence(tmp_path, distill):
    with FakeLLMServer(but_some(by_length, "No.", 3)) as server:
        code, printed = distill(server, try_num=1)
    assert code == 1
    assert re.search(r"error: the judge gave \d+ of 120 rows a score; .* needs at least 100", printed.err)
    with FakeLLMServer(lambda _: error(401)) as server:
        code, printed = distill(server)
    assert code == 1
    assert "401" in printed.err
    with FakeLLMServer(but_some(by_length, "No.", 2)) as server:
        code, printed = distill(server, judge="alpagasus_helpfulness", try_num=1, max_failure_ratio=0.2)
    assert code == 1
    assert "max_failure_ratio" in printed.err
    assert not (tmp_path / "scorer" / CONFIG_FILE).exists()


def test_a_budget_of_tokens_holds(distill):
    with FakeLLMServer(by_length) as server:
        code, printed = distill(server, max_total_tokens=20_000)
        assert 0 < len(server.requests) < 100
    assert code == 1
    assert "max_total_tokens allows only 20,000 tokens: the remaining rows get no score." in printed.out
    assert re.search(r"have no score and are left out \(\d+ budget\)", printed.out)


def test_a_judge_that_gives_all_rows_one_score_teaches_nothing(distill):
    with FakeLLMServer(lambda body: judged(body, 4)) as server:
        code, printed = distill(server)
    assert code == 1
    assert "the judge gave 120 of 120 rows the score 4, so a scorer cannot learn a difference" in printed.err


@pytest.mark.slow
def test_a_killed_run_goes_on_and_pays_nothing_twice(tmp_path, distill, data):
    concurrency = 4
    params = {"max_concurrency": concurrency}
    with FakeLLMServer(by_length, latency_s=0.1) as server:
        given = {"api_or_hf_model": "judge", "model_params": {"base_url": server.base_url}, **params}
        command = [sys.executable, "-m", "mergeit_ops", "distill", "--judge", "alpagasus_accuracy", "--data", str(data)]
        command += ["--judge-params", json.dumps(given), "--rows", "120", "--output", str(tmp_path / "scorer")]
        command += ["--embedding-model", word_vectors_folder()]
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        with subprocess.Popen(command, cwd=REPOSITORY, env=os.environ, **streams) as child:
            while len(server.requests) < 30:
                assert child.poll() is None
            child.send_signal(signal.SIGKILL)
        asked = len(server.requests)
        assert asked < 120
        server.latency_s = 0.0
        assert distill(server, **params)[0] == 0
        assert len(server.requests) <= 120 + concurrency
    assert config_of(tmp_path / "scorer")["made_from"]["rows_scored"] == 120


@contextmanager
def distilled(distill, tmp_path, answer, *arguments, **params):
    with FakeLLMServer(answer) as server:
        assert distill(server, *arguments, **params)[0] == 0
    yield {"scorer": "distilled", "scorer_params": {"path": str(tmp_path / "scorer")}}


def test_gate_and_filter_take_the_scorer_on_its_scale(tmp_path, distill, sample_rows):
    from tests.ops.gated import merged, original

    with distilled(distill, tmp_path, by_length) as parameters:
        (row,) = SampleScoreFilter(min_score=0.0, max_score=5.0, **parameters).run(make_dataset(sample_rows[:1]))
        assert 0 <= row[STATS]["distilled_quality_score"] <= 5
        first, second = (row["output"] for row in sample_rows[1:3])
        parents = [original("a", first, 0), original("b", second, 1)]
        joined = f"{first}\n\n{second}"
        kept = QualityGateFilter(gamma=0.75, **parameters).run(make_dataset([merged(joined, parents)]))
        (row,) = kept
        assert row["output"] == joined
        assert row[STATS]["merge_quality_ratio"] > 0.75


def test_a_scale_with_negative_scores_is_for_the_filter_and_not_for_the_gate(tmp_path, distill, sample_rows):
    own = {"rubric": "Rate the length of the answer.", "scale": [-2.5, 2.5]}

    def answer(body) -> str:
        (record,) = parents_of(body)
        return judged(body, round(min(5.0, math.log1p(len(record["output"])) / 1.3), 1) - 2.5)

    with distilled(distill, tmp_path, answer, judge="llm_judge", **own) as parameters:
        assert config_of(tmp_path / "scorer")["score_scale"] == [-2.5, 2.5]
        with pytest.raises(RecipeError, match=r"'distilled' does not fit the gate.*its scores may be negative"):
            QualityGateFilter(**parameters)
        short = {"instruction": "Name a fruit.", "input": "", "output": "Fig."}
        (row,) = SampleScoreFilter(**parameters).run(make_dataset([short]))
        assert -2.5 <= row[STATS]["distilled_quality_score"] < 0


def test_a_judge_of_ones_own_may_have_no_scale_and_no_price(tmp_path, distill):
    code, printed = distill(None, "--no-deduction", judge="tests.user_scorers:ByLength")
    assert code == 0
    assert "runs on this machine, or does not plan its calls" in printed.out
    config = config_of(tmp_path / "scorer")
    low, high = config["score_scale"]
    assert 0 < low < high
    assert config["made_from"]["deduction"] is False


def test_parameters_may_stand_in_a_file(tmp_path, distill):
    file = tmp_path / "judge.yaml"
    with FakeLLMServer(by_length) as server:
        rubric = "rubric: |\n  Rate the answer.\n  Long is good.\nscale: [0, 5]\n"
        file.write_text(f"{rubric}model_params: {{base_url: '{server.base_url}'}}\n", encoding="utf-8")
        code, _ = distill(server, "--judge-params", file, judge="llm_judge")
        assert "Rate the answer.\nLong is good." in server.requests[0]["messages"][0]["content"]
    assert code == 0
    assert config_of(tmp_path / "scorer")["made_from"]["judge_params"]["scale"] == [0, 5]


def test_rows_that_cannot_be_read_are_counted_and_named(tmp_path, distill, data):
    rows = [json.loads(line) for line in data.read_text(encoding="utf-8").splitlines()]
    bad = [{**rows[0], "instruction": ""}, {**rows[1], "output": None}, {**rows[2], "instruction": " "}]
    mixed = write_jsonl(tmp_path / "mixed.jsonl", [bad[0], *rows, *bad[1:]])
    code, printed = distill(None, "--dry-run", data=mixed)
    assert code == 0
    assert "323 rows" in printed.out
    assert "Left out for a missing instruction or response: 3 (rows 1, 322, 323)." in printed.out
    few = write_jsonl(tmp_path / "few.jsonl", rows[:99])
    with FakeLLMServer(by_length) as server:
        code, printed = distill(server, data=few)
        assert server.requests == []
    assert code == 1
    assert "99 different rows" in printed.err
    assert "needs at least 100" in printed.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--rows", "99"], "--rows must be a number from 100 to 10000, got 99."),
        (["--rows", "10001"], "--rows must be a number from 100 to 10000"),
        (["--judge-params", "no_such_file.yaml"], "--judge-params must be a mapping such as"),
        (["--judge-params", "{a: ["], "--judge-params cannot be read as JSON or YAML"),
        (["--judge", "nobody"], "--judge must be a scorer, one of"),
        (["--judge-params", '{"temperature": 1}'], "scorer_params do not fit the scorer 'llm_judge'"),
        (["--data", "no_such_data.jsonl"], "no_such_data.jsonl"),
        (["--judge-params", "{}"], "OPENAI_API_KEY"),
    ],
)
def test_what_cannot_work_is_one_sentence_before_any_work(tmp_path, distill, arguments, complaint):
    with FakeLLMServer(by_length) as server:
        code, printed = distill(server, *arguments)
        assert server.requests == []
    assert code == 1
    assert complaint in printed.err
    assert len(printed.err.splitlines()) == 1
    assert not (tmp_path / "scorer").exists()


def test_a_folder_with_other_files_is_not_written_to(tmp_path, distill):
    (tmp_path / "scorer").mkdir()
    (tmp_path / "scorer" / "config.json").write_text("{}", encoding="utf-8")
    code, printed = distill(None)
    assert code == 1
    assert "contains other files; name a new folder" in printed.err


def test_options_of_the_judge_go_with_the_judge(tmp_path, data, capsys):
    assert main(["distill", "--judge", "lift", "--output", str(tmp_path / "out")]) == 1
    assert "--judge needs --data, the rows that it scores" in capsys.readouterr().err
    scored = ["distill", "--scored", str(data), "--output", str(tmp_path / "out")]
    for arguments in (["--dry-run"], ["--rows", "200"], ["--data", str(data)]):
        assert main([*scored, *arguments]) == 1
        assert f"{arguments[0]} works only with --judge" in capsys.readouterr().err
