"""How much the probabilities of a task's responses depend on the exact wording of its instruction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar, Literal

import numpy as np

from mergeit_ops.constraints import TEXT, Constraint, Number, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Need, Pool
from mergeit_ops.core.topics.clustering import fit_sample
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.scorers.prompt_uncertainty import PromptUncertaintyScorer

__all__ = ["TaskUncertainty"]


class TaskUncertainty:
    """Scores tasks as Active Instruction Tuning does (arXiv 2311.00288): the uncertainty of a task is the mean of
    `prompt_uncertainty` over some of its rows, and each row gets the scores of its task. Rows of a task with the same
    instruction lose the same words. The paper trains on the tasks with the highest uncertainty.

    Before any row is scored, the model reads a few rows of each task, in one process or one Ray task. No row is
    embedded.

    :param group_key: the column that names the task of a row, or a key inside one after a dot, or a key of the metadata
        such as `topic_id`. A row without a task has no score (`no_group`).
    :param instances_per_group: most rows of a task that the model reads, at least 1: those with the lowest ids that
        have an instruction and a response. The paper uses 10.
    :param num_perturbations: see the scorer `prompt_uncertainty` of single rows. The other parameters are explained
        there too.
    """

    measures: ClassVar[Mapping[str, str]] = PromptUncertaintyScorer.measures
    needs: ClassVar[frozenset[Need]] = frozenset({"samples", "row_ids", "topics"})
    model_step: ClassVar[Literal["prepare", "score"]] = "prepare"

    def __init__(
        self,
        *,
        group_key: str,
        instances_per_group: int = 10,
        num_perturbations: int = 10,
        drop_rate: float = 0.2,
        seed: int = 42,
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        prompt: str = "plain",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
        cache_path: str | None = CACHE_AUTO,
    ) -> None:
        constraints: Mapping[str, Constraint] = {"group_key": TEXT, "instances_per_group": Number(low=1, integer=True)}
        check(constraints, locals(), "prompt_uncertainty")
        self.device = device
        self.group_key = group_key
        self.instances_per_group = int(instances_per_group)
        self._rows = PromptUncertaintyScorer(
            num_perturbations=num_perturbations,
            drop_rate=drop_rate,
            seed=seed,
            hf_model=hf_model,
            model_params=model_params,
            dtype=dtype,
            prompt=prompt,
            start_token=start_token,
            max_length=max_length,
            device=device,
            cache_path=cache_path,
        )
        self._rows.by_instruction = True

    def identity(self) -> Mapping[str, Any]:
        """See `PoolScorer`."""
        own = {"group_key": self.group_key, "instances_per_group": self.instances_per_group}
        return {**self._rows.identity(), **own}

    def prepare(self, pool: Pool) -> Sequence[tuple[Score, ...]]:
        """See `PoolScorer`: the scores of the task of each row.

        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        instances: dict[int, list[int]] = {}
        # Sorted by id, so that the order of the rows has no influence.
        for row in fit_sample(pool.row_ids, len(pool.row_ids)).tolist():
            sample, chosen = pool.samples[row], instances.setdefault(int(pool.topics[row]), [])
            if len(chosen) < self.instances_per_group and sample.instruction.strip() and sample.output.strip():
                chosen.append(row)
        instances.pop(-1, None)
        asked = [row for chosen in instances.values() for row in chosen]
        found = dict(zip(asked, self._rows.measure([pool.samples[row] for row in asked]), strict=True))
        self._rows.finish()
        scores = {task: _mean([found[row] for row in chosen]) for task, chosen in instances.items()}
        scores[-1] = (Score.missing("no_group"),) * len(self.measures)
        return [scores[task] for task in np.asarray(pool.topics).tolist()]

    def score(self, samples: Sequence[Sample], known: Sequence[tuple[Score, ...]]) -> list[tuple[Score, ...]]:
        """See `PoolScorer`."""
        return list(known)


def _mean(rows: Sequence[tuple[Score, ...]]) -> tuple[Score, ...]:
    """Return the mean scores of the rows that have scores, or why no row has any."""
    known = [[score.value for score in scores if score.value is not None] for scores in rows]
    known = [values for values in known if values]
    if not known:
        return rows[0] if rows else (Score.missing("empty_response"),) * len(TaskUncertainty.measures)
    return tuple(Score(fmean(values)) for values in zip(*known, strict=True))
