"""The example configurations for LLaMA-Factory, and the pages that explain them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml

from mergeit_ops.core.merging.prompts import WORKED_EXAMPLES, build_messages
from tests.conftest import REPOSITORY
from tests.llm_server import FakeLLMServer
from tests.recipe_runs import read_jsonl, write_jsonl
from tests.report.exports import write_export

TRAINING = REPOSITORY / "docs" / "training"
CONFIGS = sorted(TRAINING.glob("*.yaml"))
PAGES = {
    name: (REPOSITORY / "docs" / f"{name}.md").read_text(encoding="utf-8") for name in ("distilling", "benchmarks")
}

OPTIONS = {
    *("model_name_or_path", "adapter_name_or_path", "template", "trust_remote_code", "stage", "do_train"),
    *("finetuning_type", "lora_rank", "lora_target", "dataset_dir", "dataset", "eval_dataset", "mask_history"),
    *("cutoff_len", "output_dir", "logging_steps", "save_strategy", "report_to", "per_device_train_batch_size"),
    *("per_device_eval_batch_size", "gradient_accumulation_steps", "learning_rate", "num_train_epochs"),
    *("lr_scheduler_type", "warmup_ratio", "bf16", "seed", "eval_strategy"),
    *("export_dir", "export_device", "export_size"),
}
"""Options that the parsers of LLaMA-Factory 0.9.5 (`get_train_args`, `get_infer_args`) were seen to take; they refuse
any other."""


def config(name: str) -> dict[str, Any]:
    return yaml.safe_load((TRAINING / f"{name}.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_option_is_one_of_llama_factory(path):
    assert set(config(path.stem)) <= OPTIONS
    assert f"docs/training/{path.name}" in "".join(PAGES.values())


@pytest.mark.parametrize(("train", "merge"), [("merger_lora", "merger_merge"), ("mistral_lora", "mistral_merge")])
def test_an_adapter_is_put_into_the_model_it_was_trained_on(train, merge):
    trained, merged = config(train), config(merge)
    assert trained["finetuning_type"] == "lora"
    assert merged["adapter_name_or_path"] == trained["output_dir"]
    assert [merged[name] for name in ("model_name_or_path", "template")] == [
        trained[name] for name in ("model_name_or_path", "template")
    ]


def test_the_merger_is_trained_on_what_export_sft_writes_and_on_its_answers_alone(tmp_path):
    from mergeit_ops import cli
    from tests.cli.test_export_sft import hand_made

    export = write_export(tmp_path / "in.jsonl", [hand_made("a", 0), hand_made("b", 1)])
    trained = config("merger_lora")
    assert cli.main(["export-sft", str(export), "--output", str(tmp_path / trained["dataset_dir"])]) == 0
    described = json.loads((tmp_path / trained["dataset_dir"] / "dataset_info.json").read_text())
    assert set(described) == {trained["dataset"], trained["eval_dataset"]}
    assert trained["mask_history"] is True
    # Twice the fixed part of every prompt, at four characters a token, leaves room for rows.
    rows, _ = WORKED_EXAMPLES[0]
    assert trained["cutoff_len"] > 2 * sum(len(turn["content"]) for turn in build_messages(rows)) / 4


def test_the_set_is_trained_on_as_in_the_paper():
    trained = config("mistral_lora")
    assert trained["model_name_or_path"] == "mistralai/Mistral-7B-v0.3"
    assert trained["num_train_epochs"] == 3
    assert trained["per_device_train_batch_size"] * trained["gradient_accumulation_steps"] == 4
    assert trained["lr_scheduler_type"] == "cosine"
    assert trained["warmup_ratio"] == 0.5


def test_the_pages_name_the_folders_of_the_configurations():
    assert config("merger_merge")["export_dir"] in PAGES["distilling"]
    assert f"pretrained={config('mistral_merge')['export_dir']}" in PAGES["benchmarks"]
    assert f"peft={config('mistral_lora')['output_dir']}" in PAGES["benchmarks"]
    assert "outputs/train/dataset_info.json" in PAGES["benchmarks"]
    assert config("mistral_lora")["dataset_dir"] == "outputs/train"


def test_the_script_of_the_page_asks_in_both_orders_and_writes_what_win_score_reads(tmp_path, capsys):
    from mergeit_ops import cli

    (script,) = re.findall(r"```python\n(.*?)```", PAGES["benchmarks"], re.DOTALL)
    (tmp_path / "judge.py").write_text(script, encoding="utf-8")
    for name in ("a", "b"):
        rows = [{"id": n, "set": "s", "question": f"Question {n}?", "answer": f"{name} of {n}"} for n in range(3)]
        write_jsonl(tmp_path / f"{name}.jsonl", rows)

    def judge(body: dict) -> str:
        """Judge model A better in both positions, and give the first answer one more point."""
        first, second = re.findall(r"Answer [12]:\n(\w)", body["messages"][-1]["content"])
        return f"{9 if first == 'a' else 5} {8 if second == 'a' else 4}\nBecause."

    with FakeLLMServer(judge) as server:
        environment = {**os.environ, "OPENAI_BASE_URL": server.base_url, "OPENAI_API_KEY": "none"}
        command = [sys.executable, "judge.py", "a.jsonl", "b.jsonl"]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, timeout=120)
        assert len(server.requests) == 6
    assert [row["judgement"].split("\n")[0] for row in read_jsonl(tmp_path / "judged_2.jsonl")] == ["5 8"] * 3
    capsys.readouterr()
    assert cli.main(["win-score", str(tmp_path / "judged_1.jsonl"), str(tmp_path / "judged_2.jsonl"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["win_score"] == 2.0
