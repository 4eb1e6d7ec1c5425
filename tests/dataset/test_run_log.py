"""Data-Juicer's log messages about its operators."""

import os

from loguru import logger

from mergeit_ops.dataset import run_log
from mergeit_ops.dataset.run_log import RunLog, heard, listen


class Run:
    """Stands for the configuration of a run."""

    executor_type = "default"


def test_errors_are_counted_and_the_first_of_each_operator_is_kept():
    log = RunLog()
    log.add_errors("An error occurred in a_filter: first\nsecond line -- Traceback (most recent call last): ...")
    log.add_errors("An error occurred in a_filter: other")
    log.add_errors("An error occurred in b-mapper.x: \n")
    log.add_errors("nothing of the kind")
    assert log.raised == {"a_filter": 2, "b-mapper.x": 1}
    assert log.errors == {"a_filter": "first"}


def test_rows_after_each_operator_are_heard_from_this_process_and_from_its_forks():
    run = Run()
    assert heard(run) == RunLog()
    assert listen(run)
    assert not listen(run)
    logger.info("[1/3] OP [words_num_filter] Done in 0.1s. Left 7 samples.")
    logger.error("An error occurred in text_mapper: boom -- Traceback ...")
    pid = os.fork()
    if pid == 0:
        logger.error("An error occurred in text_mapper: again")
        os._exit(0)
    os.waitpid(pid, 0)
    found = heard(run)
    assert found.left == {1: 7}
    assert found.raised == {"text_mapper": 2}
    assert found.errors == {"text_mapper": "boom"}


def test_another_run_hears_nothing_of_the_first():
    first, second = Run(), Run()
    listen(first)
    logger.error("An error occurred in text_mapper: boom")
    assert listen(second)
    assert heard(first) == heard(second) == RunLog()
    logger.debug("An error occurred in text_mapper: too quiet")
    logger.info("An error occurred in " + "x" * 5_000 + ": long")
    assert sum(heard(second).raised.values()) <= 1


def test_a_handler_that_other_code_has_removed_is_borne():
    first = Run()
    listen(first)
    logger.remove(run_log._listener._handler)
    assert listen(Run())
