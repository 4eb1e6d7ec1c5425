"""Decide which groups are worth a request: try a few, and predict the others from the outcomes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import pyarrow as pa
from loguru import logger

from mergeit_ops.core.merging.acceptance import AcceptanceModel, Prospect, best_first, group_features, pilot
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.rows.lineage import QUALITY_SCORE
from mergeit_ops.core.text.counts import agree
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.dataset.merge_table import ForeseenGroup, Merge, TopicMerges
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.jobs.llm_merging import LLMMerging
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.llm.journal import answer_key
from mergeit_ops.llm.journals import open_journal
from mergeit_ops.llm.requests import expected_completion_tokens
from mergeit_ops.llm.usage import estimate_messages

__all__ = ["Foresight"]

GroupsOfTopics = Sequence[Sequence[Sequence[Group]]]
"""The groups of each topic of each table."""


@dataclass(frozen=True)
class Foresight:
    """Tries some groups of all topics, and decides about the other groups.

    Which groups are tried depends only on the rows, and their verdicts are kept in the journal. So a run that was
    stopped makes the same decisions again.

    :param job: the merge, with a judge and a model to ask.
    :param min_acceptance: smallest probability, in [0, 1], of an accepted merge at which the model is asked about a
        group.
    """

    job: MergeJob
    min_acceptance: float

    def foresee(self, rows: Rows, manifest: Manifest) -> GroupsOfTopics:
        """Return the groups of all topics with the decisions about them.

        :param rows: topics.
        :param manifest: gets the findings, and the cost of the trial.
        :raises LLMError: if the model cannot answer.
        """
        told = list(rows.tell(_prospects, self.job))
        groups: GroupsOfTopics = [groups for groups, _ in told]
        prospects = list(chain.from_iterable(found for _, found in told))
        first = pilot(prospects, self._llm.engine.settings.max_total_tokens)
        verdicts, merges = self._known(prospects, first), dict[int, Merge]()
        if verdicts is None:
            verdicts, merges = self._try(rows, groups, first, manifest)
            self._keep(prospects, first, verdicts)
        ahead = self._decided(prospects, verdicts)
        self._note(prospects, verdicts, ahead, manifest)
        number = count()
        return [[[_foreseen(one, next(number), ahead, merges) for one in own] for own in table] for table in groups]

    @property
    def _llm(self) -> LLMMerging:
        assert self.job.llm is not None
        return self.job.llm

    def _try(
        self, rows: Rows, groups: GroupsOfTopics, first: Sequence[int], manifest: Manifest
    ) -> tuple[dict[int, bool | None], dict[int, Merge]]:
        """Have some groups merged; return the verdict and the merge of each, by number."""
        number, tried = count(), set(first)
        numbered = [[[(next(number), group) for group in own] for own in table] for table in groups]
        of_pilot = [[[one for one in own if one[0] in tried] for own in table] for table in numbered]
        assert self.job.judge is not None
        ungated = "" if self.job.judge.gates else " No gate follows, so each merge that is made counts as accepted."
        verb = agree(len(first), "is", "are")
        logger.info(
            f"{self.job.reader.operator}: {len(first):,} of {_count(groups):,} pairs {verb} merged first, to learn "
            f"which others are likely to be accepted (min_acceptance).{ungated}"
        )
        found = rows.tried(self.job, [[[group for _, group in own] for own in table] for table in of_pilot], manifest)
        asked = (at for table in of_pilot for own in table for at, _ in own)
        outcomes = dict(zip(asked, (one for table in found for own in table for one in own), strict=True))
        return {at: outcomes[at][1] for at in first}, {at: merge for at, (merge, _) in outcomes.items()}

    def _decided(self, prospects: Sequence[Prospect], verdicts: Mapping[int, bool | None]) -> _Ahead | None:
        """Return the decisions; None if nothing can be learnt."""
        learnt = {number: verdict for number, verdict in verdicts.items() if verdict is not None}
        if not learnt:
            return None
        model = AcceptanceModel.fit([prospects[number].features for number in learnt], list(learnt.values()))
        likely = model.predict([prospect.features for prospect in prospects])
        ranks = {number: rank for rank, number in enumerate(best_first(prospects, likely))}
        unlikely = {at for at, one in enumerate(likely) if one < self.min_acceptance and at not in verdicts}
        return _Ahead(ranks, frozenset(unlikely))

    def _note(
        self,
        prospects: Sequence[Prospect],
        verdicts: Mapping[int, bool | None],
        ahead: _Ahead | None,
        manifest: Manifest,
    ) -> None:
        counts = Counter(verdicts.values())
        tried, accepted = counts[True] + counts[False], counts[True]
        left_out = 0 if ahead is None else len(ahead.unlikely)
        manifest.details["foresight"] = {
            "groups": len(prospects),
            "tried": tried,
            "accepted": accepted,
            "unlikely": left_out,
            "tokens_of_unlikely": sum(prospects[at].tokens for at in (() if ahead is None else ahead.unlikely)),
        }
        verb = agree(left_out, "is", "are")
        logger.info(
            f"{self.job.reader.operator}: {accepted:,} of {tried:,} pairs became accepted merges; {left_out:,} of the "
            f"other {len(prospects) - len(verdicts):,} {verb} less likely than min_acceptance {self.min_acceptance:g}, "
            f"and {verb} not asked for."
        )

    def _known(self, prospects: Sequence[Prospect], first: Sequence[int]) -> dict[int, bool | None] | None:
        """Return the verdicts of an earlier run on the same groups; None if there are none."""
        with closing(open_journal(self._llm.engine.settings.cache_path, create=False)) as journal:
            text = journal.get(self._key(prospects, first))
        return None if text is None else dict(zip(first, json.loads(text), strict=True))

    def _keep(self, prospects: Sequence[Prospect], first: Sequence[int], verdicts: Mapping[int, bool | None]) -> None:
        """Store the verdicts, if every group has one."""
        found = [verdicts[number] for number in first]
        if None in found or not found:
            return
        engine = self._llm.engine
        with closing(open_journal(engine.settings.cache_path)) as journal:
            journal.put(self._key(prospects, first), json.dumps(found), model=f"verdicts on merges of {engine.model}")

    def _key(self, prospects: Sequence[Prospect], first: Sequence[int]) -> str:
        """Return the key of the verdicts in the journal: a hash of everything that affects them."""
        assert self.job.judge is not None
        llm, factory = self._llm, self._llm.engine.backend_factory
        about = {
            "tried": [(prospects[number].group_id, prospects[number].question) for number in first],
            "checks": repr(llm.checks),
            "answers": [llm.num_candidates, llm.engine.settings.try_num, llm.max_answer_ratio],
            "judge": self.job.judge.identity,
        }
        return answer_key(
            factory.identity(), [{"role": "verdicts", "content": json.dumps(about)}], factory.sampling_params
        )


@dataclass(frozen=True)
class _Ahead:
    """The decisions: the rank of each group by its number, and the numbers of the groups left out."""

    ranks: Mapping[int, int]
    unlikely: frozenset[int]


def _foreseen(group: Group, number: int, ahead: _Ahead | None, merges: Mapping[int, Merge]) -> Group:
    merge = merges.get(number)
    if ahead is None and merge is None:
        return group
    rank, unlikely = (0, False) if ahead is None else (ahead.ranks[number], number in ahead.unlikely)
    return ForeseenGroup(group.members, group.similarity, merge=merge, rank=rank, unlikely=unlikely)


def _count(groups: GroupsOfTopics) -> int:
    return sum(len(own) for table in groups for own in table)


def _prospects(table: pa.Table, job: MergeJob) -> tuple[None, tuple[list[Sequence[Group]], list[Prospect]]]:
    """Return the groups of each topic of a table, and what is known about them."""
    groups: list[Sequence[Group]] = [job.groups(topic) for topic in table_topics(table)]
    paired = zip(table_topics(table), groups, strict=True)
    return None, (groups, [one for topic in job.opened(paired) for one in _of_topic(topic, job)])


def _of_topic(topic: TopicMerges, job: MergeJob) -> Iterator[Prospect]:
    llm = job.llm
    assert llm is not None
    stats, sampling = stats_of(topic.topic.table), llm.engine.backend_factory.sampling_params
    for number, group in enumerate(topic.groups):
        request = llm.request(topic, number)
        tokens = estimate_messages(request.messages) + expected_completion_tokens(request, sampling)
        yield Prospect(
            topic.id_of(number),
            request.tag[2],
            group_features(topic.samples(group), group.similarity, [_score(stats[at]) for at in group.members]),
            max(1, request.num_candidates * tokens),
        )


def _score(stats: Mapping[str, Any]) -> float | None:
    score = stats.get(QUALITY_SCORE)
    return float(score) if isinstance(score, (int, float)) else None
