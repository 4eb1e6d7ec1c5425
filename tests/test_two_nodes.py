"""A cluster of two nodes that loses a worker or a node during merging."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import REPOSITORY


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["nothing", "worker", "node"])
def test_no_row_is_lost_and_at_most_what_was_in_flight_is_asked_again(lost):
    run = subprocess.run(
        [sys.executable, str(REPOSITORY / "scripts" / "two_node_cluster.py"), "--lose", lost],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
        check=False,
    )
    assert run.returncode == 0, run.stdout
    assert "conserved" in run.stdout
    # One request is in flight on each of the two nodes.
    again = int(run.stdout.rpartition(" asked again")[0].rpartition(" ")[2])
    assert again == 0 if lost == "nothing" else again <= 2
