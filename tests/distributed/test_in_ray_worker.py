"""Where this process runs, told without a word on the driver."""

from __future__ import annotations

import logging

import pytest

from mergeit_ops.distributed import in_ray_worker


@pytest.mark.usefixtures("ray_cluster")
def test_a_task_is_in_a_worker_and_the_driver_is_not_and_hears_no_warning(caplog, monkeypatch):
    import ray

    # Ray keeps its records from the root logger, and the cluster of the tests says errors only.
    warning = logging.getLogger("ray.runtime_context")
    warning.addHandler(caplog.handler)
    monkeypatch.setattr(warning, "level", logging.WARNING)
    assert not in_ray_worker()
    warning.removeHandler(caplog.handler)
    assert caplog.text == ""
    assert ray.get(ray.remote(in_ray_worker).remote())
