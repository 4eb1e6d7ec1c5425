"""GPUs of tasks that run a model, on a cluster that says it has one: Ray only counts it."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY

# A cluster of its own.
pytestmark = pytest.mark.slow

SCRIPT = """
import json, sys
import pyarrow as pa
import ray
from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import PoolScoreMapper

ray.init("local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="error",
         runtime_env={"env_vars": {"RAY_JOB": "1"}})

def run(**parameters):
    rows = [{"instruction": f"row {number}", "input": "", "output": "x"} for number in range(4)]
    dataset = ray.data.from_arrow(pa.Table.from_pylist(rows))
    operator = PoolScoreMapper(**{"scorer": "tests.user_scorers:TakesAGpu"} | parameters)
    try:
        found = operator.run(dataset).take_all()
    except RecipeError as error:
        return str(error)
    return {key: row[STATS][key] for row in found for key in row[STATS] if key.split("_")[-1] in ("score", "prepare")}

cuda = {"hf_model": "no/such", "device": "cuda"}
print(json.dumps({
    "unsaid": run(),
    "in prepare": run(scorer_params={"model_step": "prepare"}),
    "a half": run(num_gpus=0.5, num_cpus=2),
    "cuda": run(accelerator="cuda"),
    "cpu": run(accelerator="cpu"),
    "two": run(num_gpus=2),
    "three processors": run(num_cpus=3),
    "none": run(num_gpus=0, scorer="nuggets", scorer_params={**cuda, "anchors": sys.argv[1]}),
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """What happens in a cluster of its own; that of the other tests has no GPU."""
    anchors = tmp_path_factory.mktemp("anchors") / "anchors.jsonl"
    anchors.write_text(json.dumps({"instruction": "a", "input": "", "output": "b"}), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(anchors)], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_a_task_that_runs_a_model_has_a_gpu_and_the_others_have_none(told):
    assert told["unsaid"] == {"gpus_to_score": 1, "gpus_to_prepare": 0, "cpus_to_score": 1}
    assert told["in prepare"] == {"gpus_to_score": 0, "gpus_to_prepare": 1, "cpus_to_score": 1}


def test_a_task_takes_what_the_recipe_says(told):
    assert told["a half"] == {"gpus_to_score": 0.5, "gpus_to_prepare": 0, "cpus_to_score": 2}


def test_the_accelerator_decides_whether_it_is_a_gpu_or_a_whole_node(told):
    """Also where the machine of the driver has no GPU, as that of this test."""
    assert told["cuda"] == {"gpus_to_score": 1, "gpus_to_prepare": 0, "cpus_to_score": 1}
    assert told["cpu"] == {"gpus_to_score": 0, "gpus_to_prepare": 0, "cpus_to_score": 2}


def test_what_no_node_has_is_refused(told):
    assert told["two"] == (
        "pool_score_mapper: each task asks for num_cpus 1 and num_gpus 2, but no node of the cluster has these. "
        "There are nodes with 2 CPU and 1 GPU. Lower num_cpus and num_gpus, or start a larger node."
    )
    assert told["three processors"].startswith("pool_score_mapper: each task asks for num_cpus 3 and num_gpus 1, but")


def test_a_model_that_needs_a_gpu_and_gets_none_is_refused(told):
    assert told["none"].startswith(
        "pool_score_mapper: the model cannot run on the device 'cuda', because num_gpus is 0. Set num_gpus to"
    )
