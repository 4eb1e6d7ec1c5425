"""Actors that a driver keeps: one of each name, started once, on its machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import ray

from mergeit_ops.distributed.kept_actors import kept_actor

pytestmark = pytest.mark.usefixtures("ray_cluster")


@ray.remote(num_cpus=0)
class Counter:
    def __init__(self, start):
        self.number = start

    def add(self):
        self.number += 1
        return self.number

    def node(self):
        return ray.get_runtime_context().get_node_id()


def test_threads_that_ask_at_the_same_moment_get_one_actor():
    with ThreadPoolExecutor(8) as threads:
        actors = list(threads.map(lambda _: kept_actor("threads", Counter, 10), range(8)))
    assert sorted(ray.get([actor.add.remote() for actor in actors])) == list(range(11, 19))
    assert ray.get(actors[0].node.remote()) == ray.get_runtime_context().get_node_id()


def test_names_are_told_apart_and_an_actor_that_has_died_is_started_again():
    first, other = kept_actor("first", Counter, 0), kept_actor("other", Counter, 5)
    assert ray.get([first.add.remote(), other.add.remote()]) == [1, 6]
    ray.kill(first)
    assert ray.get(kept_actor("first", Counter, 20).add.remote()) == 21
