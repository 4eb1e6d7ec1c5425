"""Every bundled recipe: Data-Juicer accepts it, and its header says what a user must know."""

import inspect
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.text.words import count_words
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.ops.parameters import declared_parameters
from mergeit_ops.ops.score_filter import ScoreFilter
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.conftest import REPOSITORY, SAMPLE
from tests.llm_server import FakeLLMServer, Reply, judged, merge_answer, parents_of
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl
from tests.thorough import every
from tests.tiny_models import gpt2_folder, reward_folder

RECIPES = sorted((REPOSITORY / "recipes").rglob("*.yaml"))
every_recipe = pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)


def process_of(path) -> list[tuple[str, dict]]:
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    return [next(iter(entry.items())) for entry in recipe["process"]]


def on_ray(path) -> bool:
    return yaml.safe_load(path.read_text(encoding="utf-8")).get("executor_type", "default") != "default"


def test_the_promised_recipes_are_there():
    promised = {"mergeit_quickstart", "mergeit_alpaca", "mergeit_released", "select_only"}
    promised |= {
        "mergeit_messages",
        "mergeit_sharegpt",
        "mergeit_local_llm",
        "mergeit_small_llm",
        "mergeit_multilingual",
    }
    promised |= {"select_only_messages"}
    assert promised <= {path.stem for path in RECIPES}


def assert_accepted(path, tmp_path):
    from data_juicer.config import init_configs
    from data_juicer.core.preflight import pre_instantiation_check
    from data_juicer.ops import load_ops

    # Reading a recipe makes its work dir, which belongs beside the export and not into the clone.
    config = init_configs(["--config", str(path), "--export_path", str(tmp_path / "out" / "export.jsonl")])
    assert Path(config.work_dir).is_relative_to(tmp_path)
    pre_instantiation_check(config.process)
    operators = load_ops(config.process)
    assert [operator._name for operator in operators] == [name for name, _ in process_of(path)]


@pytest.mark.parametrize("path", [path for path in RECIPES if not on_ray(path)], ids=lambda path: path.stem)
def test_data_juicer_accepts_every_operator_and_parameter(path, monkeypatch, tmp_path):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert_accepted(path, tmp_path)


# Reading a recipe for Ray starts a Ray if none runs.
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("path", [path for path in RECIPES if on_ray(path)], ids=lambda path: path.stem)
def test_data_juicer_accepts_recipes_for_ray(path, monkeypatch, tmp_path):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    assert_accepted(path, tmp_path)


@every_recipe
def test_the_first_lines_say_what_goes_in_what_comes_out_and_what_it_costs(path):
    head = path.read_text(encoding="utf-8").split("project_name")[0]
    for word in ("# In: ", "# Out: ", "# Costs: ", "# Run: "):
        assert word in head


def takes_shipped_weights(scorer, params) -> bool:
    """Return whether a scorer is the one with packaged weights, or uses it."""
    if scorer == "cascade":
        cheap = params.get("cheap", "distilled")
        own = dict(cheap) if isinstance(cheap, dict) else {"scorer": cheap}
        return takes_shipped_weights(own.pop("scorer", None), own)
    return scorer == "distilled" and params.get("path") is None


def scored_by_shipped_weights(process) -> bool:
    found = [(OPERATORS.modules[name], given or {}) for name, given in process if name in OPERATORS.modules]
    scored = [(operator, given) for operator, given in found if issubclass(operator, ScoreFilter)]
    defaults = inspect.signature(ScoreFilter.__init__).parameters
    return any(
        takes_shipped_weights(given.get("scorer", defaults["scorer"].default), given.get("scorer_params") or {})
        for _, given in scored
    )


@every_recipe
def test_a_recipe_that_scores_by_the_weights_that_ship_says_whose_they_are(path):
    text = path.read_text(encoding="utf-8")
    comments = "\n".join(line for line in text.splitlines() if line.lstrip().startswith("#"))
    named = "CC BY-NC 4.0" in comments and "distill --judge" in comments
    assert named == scored_by_shipped_weights(process_of(path))


def test_weights_that_ship_are_found_behind_defaults():
    assert scored_by_shipped_weights([("quality_gate_filter", {"gamma": 1.0})])
    assert scored_by_shipped_weights([("sample_score_filter", {"scorer": "cascade"})])
    assert not scored_by_shipped_weights([("quality_gate_filter", {"scorer_params": {"path": "my_scorer"}})])
    assert not scored_by_shipped_weights(
        [("sample_score_filter", {"scorer": "cascade", "scorer_params": {"cheap": "deita"}})]
    )


ABLATIONS = sorted((REPOSITORY / "recipes" / "ablations").glob("*.yaml"))


def test_the_ablations_of_the_paper_are_there():
    promised = {"full", "no_merging", "no_clustering", "no_quality_check", "random_pairs", "concat"}
    promised |= {"random", "kmeans", "perplexity", "instruction_length", "superfiltering"}
    assert {path.stem for path in ABLATIONS} == promised
    page = (REPOSITORY / "recipes" / "ablations" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in ABLATIONS if f"| `{path.name}` |" not in page] == []


def test_ablations_clean_alike_and_end_with_the_same_budget():
    recipes = [process_of(path) for path in ABLATIONS]
    assert all(recipe[:4] == recipes[0][:4] for recipe in recipes)
    assert {recipe[-1][0] for recipe in recipes} == {"budget_selector"}
    assert {recipe[-1][1]["select_num"] for recipe in recipes} == {240}


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("no_clustering", {"topic_cluster_grouper"}),
        ("no_quality_check", {"quality_gate_filter"}),
        ("random_pairs", {"llm_pair_merger_mapper"}),
        ("concat", {"llm_pair_merger_mapper"}),
    ],
)
def test_an_ablation_differs_from_the_full_method_in_one_operator(name, changed):
    full, other = (dict(process_of(REPOSITORY / "recipes" / "ablations" / f"{stem}.yaml")) for stem in ("full", name))
    assert {operator for operator in {*full, *other} if full.get(operator) != other.get(operator)} == changed


METHODS = sorted((REPOSITORY / "recipes" / "methods").glob("*.yaml"))
every_method = pytest.mark.parametrize("path", METHODS, ids=lambda path: path.stem)


@every_method
def test_a_method_says_what_is_faithful_and_has_a_line_in_the_table(path):
    head = path.read_text(encoding="utf-8").split("project_name")[0]
    for word in ("# Faithful: ", "# Stands in: ", "# Source: "):
        assert word in head
    page = (REPOSITORY / "docs" / "methods.md").read_text(encoding="utf-8")
    assert f"[{path.name}](../recipes/methods/{path.name})" in page


@pytest.fixture(scope="module")
def embedded_sample(tmp_path_factory, embedded_rows):
    """Rows of the sample with stored embeddings, because embedding takes most of the time."""
    return write_jsonl(tmp_path_factory.mktemp("sample") / "embedded.jsonl", embedded_rows)


def with_a_tiny_model(path, folder):
    """Return a recipe in which a toy model replaces every local model; the recipe itself if it has none."""
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    steps = [step or {} for entry in recipe["process"] for step in entry.values()]
    named = [step for step in steps if {"hf_model", "model"} & set(step.get("scorer_params") or {})]
    for step in named:
        given = step["scorer_params"]
        name = "hf_model" if "hf_model" in given else "model"
        given[name] = reward_folder(positions=512) if step["scorer"] == "reward_model" else gpt2_folder(512)
        # Each of them reads each row once.
        given |= {name: 2 for name in ("num_anchors", "num_perturbations", "num_prompts") if name in given}
    if not named:
        return path
    made = folder / path.name
    made.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    return made


JUDGED = ("alpagasus", "lift", "wavecoder")
REWRITING = ("tree_instruct",)
CALLS_OF_REWRITING = {"tree_instruct": 3, "lift_expand": 2, "coachlm": 1}
"""Calls for each row of every recipe that rewrites. They differ in the method of one operator alone."""

OF_TEXTS = ("humpback", "tegit")
"""Methods that read texts and not samples; see `test_recipes_of_texts`."""

OF_THEIR_OWN = ("diverse_evol_step", *JUDGED, *CALLS_OF_REWRITING, *OF_TEXTS)
"""Methods with a test of their own."""


@pytest.mark.parametrize(
    "path", every(2, [path for path in METHODS if path.stem not in OF_THEIR_OWN]), ids=lambda path: path.stem
)
def test_a_method_runs_on_rows_of_the_sample_that_ships(path, tmp_path, monkeypatch, embedded_sample):
    monkeypatch.chdir(REPOSITORY)
    before = {row["id"]: row for row in read_jsonl(embedded_sample)}
    more = ["--dataset_path", str(embedded_sample), "--export_path", str(tmp_path / "out" / "export.jsonl")]
    after = read_jsonl(run_recipe(with_a_tiny_model(path, tmp_path), *more))
    assert 0 < len(after) < len(before)
    assert len({row["id"] for row in after}) == len(after)
    assert all(text_of(before[row["id"]]).items() <= row.items() for row in after)


def text_of(row):
    return {name: value for name, value in row.items() if name != EMBEDDING}


def test_a_step_of_diverse_evol_keeps_the_rows_chosen_before_and_adds_a_hundred(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    path = REPOSITORY / "recipes" / "methods" / "diverse_evol_step.yaml"
    after = read_jsonl(run_recipe(path, "--export_path", str(tmp_path / "out" / "export.jsonl")))
    chosen = {row["id"] for row in read_jsonl(SAMPLE) if row["id"].endswith("0")}
    assert {row["id"] for row in after if row["chosen"]} == chosen
    assert len(after) == len(chosen) + 100


def by_length(body):
    """Judge by the length of the answer: 5, or yes to all questions, from 100 characters on; otherwise 2, or no."""
    (record,) = parents_of(body)
    is_long = len(record["output"]) >= 100
    return judged(body, 5 if is_long else 2, answers=[True, is_long])


@pytest.mark.parametrize("name", JUDGED)
def test_a_method_with_a_judge_keeps_what_the_judge_likes_and_is_paid_once(
    name, tmp_path, monkeypatch, embedded_sample
):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    before = {row["id"]: row for row in read_jsonl(embedded_sample)}
    distinct = len({(row["instruction"], row["input"], row["output"]) for row in before.values()})
    path = REPOSITORY / "recipes" / "methods" / f"{name}.yaml"
    more = ["--dataset_path", str(embedded_sample), "--export_path", str(tmp_path / "out" / "export.jsonl")]
    with FakeLLMServer(by_length) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        after = read_jsonl(run_recipe(path, *more))
        assert len(server.requests) == distinct
        assert read_jsonl(run_recipe(path, *more)) == after
        assert len(server.requests) == distinct
    liked = {number for number, row in before.items() if len(row["output"]) >= 100}
    assert {row["id"] for row in after} == liked if name != "lift" else {row["id"] for row in after} < liked
    assert 0 < len(after) < len(before)
    assert all(text_of(before[row["id"]]).items() <= row.items() for row in after)


@pytest.mark.parametrize("name", ["instag", "mig"])
def test_a_method_by_tags_takes_those_of_a_model_though_a_third_of_its_replies_are_faulty(
    name, tmp_path, monkeypatch, embedded_sample
):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    before = {row["id"]: row for row in read_jsonl(embedded_sample)}
    faults = ["Two tags: poem, rain.", Reply('[{"tag": "po', finish_reason="length"), Reply("I cannot help with that.")]
    asked = Counter()

    def answer(body):
        (record,) = parents_of(body)
        words = " ".join(record.values()).lower().split()
        asked[record["instruction"], record["input"]] += 1
        # For every third text, no reply is readable.
        if len(words) % 3 == 0:
            return faults[len(words) // 3 % len(faults)]
        return json.dumps([{"tag": word[:5], "explanation": "It is there."} for word in words[:12]])

    path = REPOSITORY / "recipes" / "methods" / f"{name}.yaml"
    export = tmp_path / "out" / "export.jsonl"
    more = ["--dataset_path", str(embedded_sample), "--export_path", str(export)]
    more += ["--instruction_tag_mapper.tagger", "llm", "--instruction_tag_mapper.try_num", "2"]
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        after = read_jsonl(run_recipe(path, *more))
        readable = [text for text in asked if len(" ".join(text).lower().split()) % 3]
        assert {asked[text] for text in readable} == {1}
        assert read_jsonl(run_recipe(path, *more)) == after
        assert {asked[text] for text in readable} == {1}
    first, second = [record for record in read_records(export) if record["operator"] == "instruction_tag_mapper"]
    failed = sum(first["figures"]["failed"].values())
    assert 0.2 < failed / len(before) < 0.45
    assert set(first["figures"]["failed"]) == {"unparsable", "truncated", "refused"}
    assert (first["figures"]["rows_in"], first["figures"]["rows_out"]) == (len(before), len(before))
    assert second["figures"]["cache_hits"] == len(readable)
    assert len(after) == len(before) // 5
    assert all(text_of(before[row["id"]]).items() <= row.items() for row in after)
    assert all(row["tags"] for row in after)


FAULTS = [
    "Here is it: Name four fruits.",
    Reply('{"instruction": "Name fo', finish_reason="length"),
    "I'm sorry, but I cannot help with that.",
    '{"instruction": 7}',
    '{"instruction": "Too short."}',
    json.dumps({"instruction": "请写一篇短文," * 9}),
    json.dumps({"instruction": "Do semantic parsing of it " + "and so on " * 12}),
    Reply(None),
]


@pytest.mark.parametrize("name", REWRITING)
def test_a_method_that_rewrites_does_so_though_a_third_of_its_replies_are_faulty(
    name, tmp_path, monkeypatch, embedded_sample
):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    draw = random.Random(3)
    faulty = Counter()

    def answer(body):
        is_fault = draw.random() < 0.35
        faulty[is_fault] += 1
        if not is_fault:
            return merge_answer(body) if parents_of(body) else "A new answer."
        return draw.choice(FAULTS) if parents_of(body) else Reply(None)

    path = REPOSITORY / "recipes" / "methods" / f"{name}.yaml"
    export = tmp_path / "out" / "export.jsonl"
    more = ["--dataset_path", str(embedded_sample), "--export_path", str(export)]
    # The rewriter removes all other embeddings, so these are the user's.
    before = [text_of(row) for row in read_jsonl(embedded_sample)]
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        after = read_jsonl(run_recipe(path, *more))
        metas = [row[META] for row in read_jsonl(next(export.parent.glob("*_stats.jsonl")))]
        paid = len(server.requests)
        run_recipe(path, *more)
        again = len(server.requests) - paid
    assert 0.3 < faulty[True] / faulty.total() < 0.4
    assert len(after) == len(before) == len(metas)
    rewritten = 0
    for old, new, meta in zip(before, after, metas, strict=True):
        if meta["rewrite_status"] == "original":
            assert new == old
            assert meta["rewrite_error"]
            continue
        rewritten += 1
        assert decode_row(meta["rewrite_parent"]) == old
        assert old | {"instruction": new["instruction"], "output": "A new answer."} == new
        assert count_words(old["instruction"]) + 24 <= count_words(new["instruction"]) <= 100
    assert 0.6 < rewritten / len(before) < 1
    # A second run repeats only the failed requests.
    assert again < 0.4 * paid
    assert verify(read_run(export), read_input(embedded_sample)).holds


@pytest.mark.slow
@pytest.mark.parametrize("name", REWRITING)
def test_a_method_that_rewrites_is_killed_and_goes_on_where_it_was(name, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    children, asked = [], []

    def answer(body):
        asked.append(json.dumps(body["messages"]))
        if len(asked) == 400 and len(children) == 1:
            os.kill(children[0].pid, signal.SIGKILL)
        return merge_answer(body) if parents_of(body) else "A new answer."

    export = tmp_path / "out" / "export.jsonl"
    command = ["dj-process", "--config", str(REPOSITORY / "recipes" / "methods" / f"{name}.yaml")]
    command += ["--export_path", str(export), "--instruction_rewrite_mapper.max_concurrency", "8"]

    def start():
        children.append(
            subprocess.Popen([str(Path(sys.executable).with_name(command[0])), *command[1:]], cwd=REPOSITORY)
        )
        return children[-1].wait(timeout=400)

    with FakeLLMServer(answer, latency_s=0.005) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert start() == -signal.SIGKILL
        assert not export.exists()
        assert start() == 0
    # Requests that were in flight are sent twice.
    assert len(asked) - len(set(asked)) <= 16
    metas = [row[META] for row in read_jsonl(next(export.parent.glob("*_stats.jsonl")))]
    # Three rows of the sample have no response.
    assert Counter(meta["rewrite_error"] for meta in metas) == {None: len(metas) - 3, "bad_row": 3}
    assert verify(read_run(export), read_input(SAMPLE)).holds


@pytest.mark.parametrize("name", CALLS_OF_REWRITING)
def test_a_dry_run_of_a_method_that_rewrites_tells_calls_and_price(name, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    export = tmp_path / "out" / "dry.jsonl"
    given = {"dry_run": "true", "price_per_1k_prompt": "0.0025", "price_per_1k_completion": "0.01"}
    more = [part for name, value in given.items() for part in (f"--instruction_rewrite_mapper.{name}", value)]
    path = REPOSITORY / "recipes" / "methods" / f"{name}.yaml"
    assert read_jsonl(run_recipe(path, "--export_path", str(export), *more)) == read_jsonl(SAMPLE)
    (record,) = read_records(export)
    figures = record["figures"]
    tokens = figures["planned_prompt_tokens"], figures["planned_completion_tokens"]
    # 486 rows can be rewritten, and 480 of them have different texts.
    assert figures["planned_calls"] == CALLS_OF_REWRITING[name] * 480
    assert figures["planned_cost"] == pytest.approx((tokens[0] * 0.0025 + tokens[1] * 0.01) / 1000, abs=1e-5)
    assert "calls" not in figures


def read_records(export):
    """Return the records of all runs of an export, the earliest first."""
    return [
        record for folder in sorted(export.parent.iterdir()) if folder.is_dir() for record in read_manifests(folder)
    ]


def test_the_total_of_lift_is_nine_tenths_of_the_judge_and_a_tenth_of_the_length(tmp_path, monkeypatch):
    """The golden values of the method: 80 points, and 10 characters, of which 923.2 give the full reward."""
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    rows = [{"id": 0, "instruction": "ask", "input": "", "output": "x" * 10}]
    with FakeLLMServer(lambda body: judged(body, 80)) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        changes = {"combined_score_filter": {"full_at": {"text_len": 923.2}}}
        assert run_method("lift", write_jsonl(tmp_path / "in.jsonl", rows), tmp_path, **changes) == [0]
        assert server.requests[0]["temperature"] == 0.5
    (row,) = read_jsonl(tmp_path / "lift" / "export.jsonl")
    assert row[STATS]["lift_total"] == pytest.approx(72.108319)


def run_method(name, data, folder, **changes):
    """Run a recipe of a method with its operators changed, by name; return the ids of the rows that are left."""
    recipe = yaml.safe_load((REPOSITORY / "recipes" / "methods" / f"{name}.yaml").read_text(encoding="utf-8"))
    for entry in recipe["process"]:
        for operator, parameters in entry.items():
            parameters.update(changes.get(operator, {}))
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe, sort_keys=False), encoding="utf-8")
    export = run_recipe(path, "--dataset_path", str(data), "--export_path", str(folder / name / "export.jsonl"))
    return [row["id"] for row in read_jsonl(export)]


def test_mods_chooses_seeds_among_good_rows_and_adds_those_that_are_answered_badly(tmp_path, monkeypatch):
    import numpy as np

    from mergeit_ops.core.vectors import encode_vectors

    monkeypatch.chdir(REPOSITORY)
    # The golden values of the method: points on a line, here on an arc, rewards, and those of the generated answers.
    angles = np.array([0, 1, 2, 5, 9, 10]) / 10
    vectors = np.zeros((6, 384), dtype=np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    rewards, answered = ["0.5", "-0.1", "1.2", "0", "2", "0.3"], ["1", "-5", "-0.4", "-5", "-0.2", "-1"]
    rows = [
        {
            "id": number,
            "instruction": f"ask {number}",
            "input": "",
            "output": reward,
            "generated": answer,
            EMBEDDING: text,
        }
        for number, (reward, answer, text) in enumerate(zip(rewards, answered, encode_vectors(vectors), strict=True))
    ]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    by_number = {"scorer": "tests.user_scorers:ByFirstNumber", "scorer_params": {}}
    changes = {"sample_score_filter": by_number, "diversity_selector": {"start": "first", "select_num": 2}}
    assert run_method("mods", data, tmp_path, **changes) == [0, 5]
    changes = {"sample_score_filter": by_number | {"measure": "by_first_number"}}
    assert run_method("mods_augment", data, tmp_path, **changes) == [2, 4, 5]


@every_recipe
def test_an_operator_used_twice_spells_out_every_parameter_each_time(path):
    import mergeit_ops.ops

    classes = {getattr(mergeit_ops.ops, name)._name: getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__}
    used = process_of(path)
    names = [name for name, _ in used]
    for name, given in used:
        if names.count(name) > 1 and name in classes:
            # Format and embedding belong to the dataset, so both have the same on purpose.
            shared = {"sample_format", "instruction_key", "query_key", "response_key"}
            shared |= {
                "embedding_model",
                "embedding_batch_size",
                "embedding_dtype",
                "embedding_window",
                "embedding_text",
            }
            assert set(given) >= set(declared_parameters(classes[name])) - shared


def test_data_juicer_lets_a_repeated_operator_inherit_what_it_leaves_out(tmp_path):
    """The reason for the rule above. If Data-Juicer fixes this, the rule can be removed."""
    from data_juicer.config import init_configs

    from tests.recipe_runs import write_recipe

    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": "a", "input": "", "output": "b"}])
    gates = [{"quality_gate_filter": {"score_all": True}}, {"quality_gate_filter": {"gamma": 0.5}}]
    config = init_configs(["--config", str(write_recipe(tmp_path, gates, data))])
    assert config.process[1]["quality_gate_filter"]["score_all"] is True


def test_the_sample_that_ships_has_families_of_related_rows(sample_rows):
    from collections import Counter

    families = Counter(row["source"] for row in sample_rows)
    assert len(sample_rows) >= 300
    assert sum(count >= 5 for count in families.values()) >= 30
    assert all(set(row) == {"id", "instruction", "input", "output", "source"} for row in sample_rows)
