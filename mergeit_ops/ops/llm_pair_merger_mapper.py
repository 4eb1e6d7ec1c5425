"""Let an LLM merge similar samples of a topic into richer ones."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.constraints import FLAG, MAPPING, NAMES, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.columns import BATCH_META, EMBEDDING, is_content
from mergeit_ops.core.formats import Reading, SampleFormat
from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.concatenation import concatenate
from mergeit_ops.core.merging.conversations import CONVERSATIONS, MergeConversation
from mergeit_ops.core.merging.pairing import PAIRINGS, Group, find_groups
from mergeit_ops.core.merging.prompts import PROMPT_STYLES
from mergeit_ops.core.rows.lossless import UnencodableError, encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.columns_at_risk import columns_at_risk, columns_emptied, sentence
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.embeddings import embeddings_as_text, vectors_column
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.dataset.merge_run import MergeRun, Sink
from mergeit_ops.dataset.merge_table import Merge, TopicMerges, merged_features
from mergeit_ops.dataset.paired_topics import PairedTopics
from mergeit_ops.dataset.recipe import Recipe, current_recipe
from mergeit_ops.dataset.recipe_columns import column_of, path_inside, type_has, value_at
from mergeit_ops.dataset.tables import TableList, TableSink, python_rows, set_column
from mergeit_ops.dataset.topics import Topic, flat_features, is_grouped, iter_topics, table_topics
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError, LLMError, RecipeError
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
)

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine
    from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

OP_NAME = "llm_pair_merger_mapper"

MERGE_STRATEGIES = (*CONVERSATIONS, "concat", "none")

_FORM_TOKENS = 32
"""Tokens of the form of an answer, which do not grow with the parents: braces, keys, a fence."""

_FEW_PAIRS = 0.05
"""Pairs per row of the merger below which a dry run says how to get more."""

_PLANNED_FIGURES = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "cost")


@OPERATORS.register_module(OP_NAME)
class LLMPairMergerMapper(LLMOperator, EmbeddingOperator, Mapper):
    """Merge similar samples of each topic into one richer sample, and flatten the topics.

    Pairs samples whose cosine lies above a threshold and has an LLM merge each pair (MergeIT, stage 2). A merged row
    carries its parents whole in `__dj__meta__`, so `quality_gate_filter` can give them back; a pair whose merge fails
    stays as it was, with the reason. Answers are kept in a journal on disk: a second run of the same recipe pays only
    for what is missing. One process does the work, whatever `np`: the requests are concurrent without more. On
    Ray each block of topics has a stage of its own."""

    _batched_op = True
    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition, each with its own token budget.
    is_global_operation = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        **LLM_CONSTRAINTS,
        "similarity_threshold": Number(low=-1, high=1),
        "pairing": OneOf(PAIRINGS),
        "pairing_seed": Number(low=0, high=2**32 - 1, integer=True),
        "max_group_size": Number(low=2, integer=True),
        "merge_ratio": Number(low=0, high=1, low_open=True, optional=True),
        "merge_strategy": OneOf(MERGE_STRATEGIES),
        "pair_within": NAMES,
        "system_prompt": OPTIONAL_TEXT,
        "prompt_style": OneOf(PROMPT_STYLES),
        "max_answer_ratio": Number(low=1, optional=True),
        "num_candidates": Number(low=1, integer=True),
        "min_parent_kept": Number(low=0, high=1, optional=True),
        "refuse_added_demands": FLAG,
        "dry_run": FLAG,
        "keep_embeddings": FLAG,
        "derived_columns": MAPPING,
    }
    takes = "topics"
    gives_ids = True
    kind = "merger"
    step = "Merged"

    def __init__(
        self,
        *,
        system_prompt: Optional[str] = None,
        prompt_style: str = "worked",
        max_answer_ratio: Optional[float] = None,
        num_candidates: int = 1,
        min_parent_kept: Optional[float] = None,
        refuse_added_demands: bool = False,
        similarity_threshold: float = 0.55,
        pairing: str = "best_first",
        pairing_seed: int = 42,
        max_group_size: int = 2,
        merge_ratio: Optional[float] = None,
        merge_strategy: str = "llm",
        pair_within: Optional[list[str]] = None,
        dry_run: bool = False,
        keep_embeddings: bool = False,
        derived_columns: Optional[dict[str, str]] = None,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param system_prompt: replaces the built-in one; null keeps it.
        :param prompt_style: `worked`: rules and two worked examples, about 800 tokens in each request (380 with the
            strategy `instruction`). `short`: a few sentences, about 140 tokens (110).
        :param max_answer_ratio: maximum tokens of an answer, as a multiple, at least 1, of the tokens that it is
            expected to have: those of its parents, or of their instructions with the strategy `instruction`. A small
            model that does not stop is cut off there, and its answer counts as `truncated`; the next one may be twice
            as long. null: only `max_tokens` in `sampling_params` limits an answer.
        :param num_candidates: answers per group, asked for at once; the gate keeps the best that passes, without a gate
            the first wins. Costs as many times as much.
        :param min_parent_kept: how much of each parent, in [0, 1], a merge must keep: of its instruction, its input and
            its answer, each as the share of its words that the merge has. If a merge keeps less, the model is told what
            is missing and asked again, up to `try_num` times. After that the rows stay as they were, with the reason
            `parent_lost`. null: not checked.
        :param refuse_added_demands: whether a merge is asked for again, in the same way, if its instruction sets a
            limit that no parent has or copies a phrase from the prompt; the reason is `added_demand`.
        :param similarity_threshold: cosine in [-1, 1] that a pair must exceed; 0.55 is the released code's.
        :param pairing: `best_first`: the most similar pair first. `first_come`: rows in order, each with its first free
            neighbour, as in the released code. `random`: any two rows of a topic, whatever the threshold: the paper's
            control, which tells what similarity is worth.
        :param pairing_seed: seed of `random`.
        :param max_group_size: rows merged into one at most; every two rows of a larger group exceed the threshold.
        :param merge_ratio: share in (0, 1] of a topic's rows that should end up in merges: the best pairs are taken
            until it is reached, of random ones as many as come nearest; null: every pair found. Not for `first_come`.
        :param merge_strategy: `llm`: the model writes the whole merged row. `instruction`: it writes only the merged
            instruction; inputs and outputs are put one below the other, labelled with letters if there are several
            inputs. That is one request with two answers, one after the other: no answer can be lost, less than
            half of the tokens are spent, and a model of 0.5B parameters can do it. `concat`: instructions joined with
            "and", the paper's baseline, needs no LLM. `none`: only flatten.
        :param pair_within: columns in which rows must agree to be merged, such as language or licence, or values inside
            a column, such as `meta.language`; null: none. System prompts and arguments of the chat template must always
            agree.
        :param dry_run: make no call; report pairs, calls, estimated tokens and, where prices are given, what they cost,
            and pass the samples on as they are. The run exports them like any other: give it an `--export_path` of its
            own.
        :param keep_embeddings: whether rows keep the column `mergeit_embedding`.
        :param derived_columns: text columns to fill on merged rows, each with a template that names other columns:
            `{text: "{query}\\n{response}"}`. Other columns keep the value that all parents share, else null. For
            conversations `{instruction}`, `{input}`, `{output}` and `{system}` name the parts of the merged sample. A
            null value becomes an empty text. Double a brace that belongs to the text.
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(**kwargs)
        if merge_ratio is not None and pairing == "first_come":
            raise RecipeError(
                f"{self._name}: merge_ratio works with pairing 'best_first' and 'random' only, got pairing "
                f"{pairing!r}; remove one."
            )
        self.api_or_hf_model: str = self.parameters["api_or_hf_model"]
        self.system_prompt = system_prompt
        self.num_candidates = int(num_candidates)
        self.checks = MergeChecks(min_parent_kept, refuse_added_demands)
        self.similarity_threshold = float(similarity_threshold)
        self.pairing: Any = pairing
        self.pairing_seed = int(pairing_seed)
        self.max_group_size = int(max_group_size)
        self.merge_ratio = merge_ratio
        self.merge_strategy = merge_strategy
        self.pair_within = list(pair_within or ())
        self.dry_run = dry_run
        self.keep_embeddings = keep_embeddings
        try:
            self.derived = DerivedColumns.parse(derived_columns)
        except ValueError as error:
            raise RecipeError(f"{self._name}: derived_columns {error}.") from error
        self.may_use_gpu = kwargs.get("accelerator") != "cpu"
        # As many pairs as the stage prepares before it wants an answer.
        self._at_once = 2 * int(self.parameters["max_concurrency"])
        self._plan: Mapping[str, Any] = {}
        self._stopped: LLMError | None = None
        self._engine: LLMEngine | None = None
        self._conversation = CONVERSATIONS.get(merge_strategy, {}).get(prompt_style)
        self._max_answer_ratio = max_answer_ratio
        if self._conversation is not None:
            self._engine = self.new_engine(check=not dry_run)

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Merge the samples of topics and flatten them.

        :param dataset: topics.
        :param exporter: not used.
        :param tracer: not used: the lineage in `__dj__meta__` holds every merge with its parents.
        :return: flat samples, by topic and in the order of the input; a merged one stands where its first parent did.
        :raises DatasetError: if the rows are no topics, or a column is missing.
        :raises LLMError: if the LLM stage had to stop.
        """
        if is_ray_dataset(dataset):
            return self._run_on_ray(dataset)
        self.check_arrival(len(dataset))
        self._check(grouped=is_grouped(dataset.features))
        features = flat_features(dataset.features)
        types = {field.name: field.type for field in features.arrow_schema}
        self.check_pair_within(types, lambda name: (topic.table for topic in iter_topics(dataset.select_columns(name))))
        layout = self.layout_of(features)
        self._check_derived(types, layout)
        groups = self._checked_groups(lambda: iter_topics(dataset), types, layout)
        sink = TableSink(merged_features(features, self.keep_embeddings))
        with self.recorded() as manifest:
            work = self._merge_run(layout, sink)
            try:
                self._merge(lambda: iter_topics(dataset), layout, work, groups=groups)
                flat = sink.finish()
                manifest.figures["rows_out"] = len(flat)
            finally:
                # Also of a run that had to stop: what it cost is on record.
                figures, details = self._account(work)
                manifest.figures = figures | manifest.figures
                manifest.details |= details
            self._tell(manifest.figures)
        log_summary(self.work_dir)
        return flat

    def process(self, samples: Any) -> Any:
        """Merge a few topics, in Data-Juicer's form of a dict of lists."""
        return self.run(Dataset.from_dict(dict(samples))).to_dict()

    def merge_block(
        self, table: pa.Table, layout: SampleFormat
    ) -> tuple[pa.Table | None, dict[str, Any], dict[str, Any], LLMError | None]:
        """Merge the topics of one of many tables.

        :param table: a row per topic.
        :param layout: layout of the samples.
        :return: flat rows, or None when the LLM stage had to stop; figures and details of the record of the run; and
            why it had to stop.
        """
        sink = TableList()
        work = self._merge_run(layout, sink)
        try:
            # A few failures may be all that a small block has: whoever sees all blocks judges them.
            self._merge(lambda: table_topics(table), layout, work, more_to_come=True)
        except LLMError as error:
            return None, *self._account(work), error
        return sink.table(), *self._account(work), None

    def check_failures(self, usage: Mapping[str, Any], at_end: bool) -> None:
        """Stop when too large a share of the merges of all blocks so far has failed.

        :param usage: counters of the blocks' stages, added up; empty where nothing was asked.
        :param at_end: whether no more will come.
        :raises TooManyFailuresError: if so.
        """
        from mergeit_ops.llm.failure_share import check_failures

        if not usage:
            return
        bound = self.parameters["max_failure_ratio"]
        try:
            check_failures(
                usage["answered"], usage["failures"], bound, at_end=at_end, last_errors=usage.get("last_errors")
            )
        except LLMError as error:
            stopped = error
        else:
            return
        raise self.told_of_all(stopped, usage)

    def told_of_all(self, stopped: LLMError, usage: Mapping[str, Any]) -> LLMError:
        """Return why a block had to stop, and where the answers of all blocks are.

        :param stopped: the error of one block or of all blocks.
        :param usage: the sum of the reported counters of the blocks' stages.
        """
        from mergeit_ops.llm.engine import told_of_answers

        return told_of_answers(stopped, usage, journal=self.parameters["cache_path"] is not None, at_least=True)

    @property
    def engines(self) -> list[LLMEngine]:
        """Return the engines that use the model: one or none."""
        return [] if self._engine is None or self.dry_run else [self._engine]

    @property
    def asks_a_server(self) -> bool:
        """Return whether a run sends requests to a server."""
        return any(engine.asks_a_server for engine in self.engines)

    @property
    def runs_a_model(self) -> bool:
        """Return whether a run loads a model of this machine."""
        return any(not engine.asks_a_server for engine in self.engines)

    def _check(self, grouped: bool) -> None:
        if not grouped:
            raise DatasetError(
                f"{self._name}: the rows are flat samples, but this operator merges within topics; put "
                "topic_cluster_grouper before it. Data-Juicer's op_fusion and adaptive_batch_size run every operator "
                "on raw rows first: turn them off. No call was made."
            )

    def _merge_run(self, layout: SampleFormat, sink: Sink) -> MergeRun:
        return MergeRun(layout, sink, self._embedding_of if self.keep_embeddings else None, self.derived)

    def _check_derived(self, types: Mapping[str, pa.DataType], layout: SampleFormat) -> None:
        try:
            self.derived.check(types, layout)
        except ValueError as error:
            raise RecipeError(f"{self._name}: derived_columns {error}. No call was made.") from error

    def _columns_at_risk(self, columns: Iterable[str], layout: SampleFormat) -> dict[str, str]:
        recipe = current_recipe(self.work_dir)
        place = recipe.place_of(self) if recipe is not None else None
        if recipe is None or place is None:
            return {}
        return self.columns_it_may_empty(recipe, place, list(columns), layout)

    @classmethod
    def columns_it_may_empty(
        cls, recipe: Recipe, place: int, columns: Collection[str], layout: SampleFormat
    ) -> dict[str, str]:
        """Return the columns that merges may empty and the recipe reads.

        :param recipe: the recipe.
        :param place: position of the merger.
        :param columns: columns of the flat rows.
        :param layout: layout of the samples.
        :return: column to what names it, in words.
        """
        parameters = recipe.steps[place].parameters
        if parameters.get("merge_strategy") == "none":
            return {}
        safe = [*(parameters.get("derived_columns") or ()), *(parameters.get("pair_within") or ())]
        return columns_at_risk(recipe, place, columns, layout, safe)

    def _checked_groups(
        self, topics: Callable[[], Iterable[Topic]], types: Mapping[str, pa.DataType], layout: SampleFormat
    ) -> list[Sequence[Group]] | None:
        """Refuse merges that empty columns which the recipe reads; return the groups if they were needed."""
        at_risk = self._columns_at_risk(types, layout)
        if not at_risk:
            return None
        counts, groups = self.columns_emptied(topics, layout, list(at_risk))
        self._refuse(at_risk, counts, layout, types)
        return groups

    def columns_emptied(
        self, topics: Callable[[], Iterable[Topic]], layout: SampleFormat, columns: Sequence[str]
    ) -> tuple[Counter[str], list[Sequence[Group]] | None]:
        """Return how many merges would empty each of some columns, and the groups if they were needed."""
        return columns_emptied(topics, lambda topic: self._find_groups(topic, layout), columns, layout)

    def _refuse(
        self,
        at_risk: Mapping[str, str],
        counts: Mapping[str, int],
        layout: SampleFormat,
        types: Mapping[str, pa.DataType],
    ) -> None:
        if not counts:
            return
        emptied = {name: reader for name, reader in at_risk.items() if name in counts}
        text = sentence(emptied, {name: count for name, count in counts.items() if count}, layout, types)
        if self.dry_run:
            logger.warning(f"{self._name}: without dry_run the run would stop: {text}.")
            return
        raise RecipeError(f"{self._name}: {text}. No call was made.")

    def _run_on_ray(self, dataset: Any) -> Any:
        from mergeit_ops.distributed.blocks import materialized
        from mergeit_ops.distributed.merging import (
            columns_emptied_on_ray,
            merged,
            types_in_topics,
            values_in_topics,
        )

        if self._stopped is not None:
            # With a runtime_env, Data-Juicer runs an operator that stopped once more, without it.
            raise self._stopped
        with self.recorded() as manifest:
            dataset = materialized(dataset)
            if not self.check_arrival(dataset.count()):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return dataset
            self._check(grouped=BATCH_META in dataset.columns())
            types = types_in_topics(dataset)
            self.check_pair_within(types, lambda name: values_in_topics(dataset, name))
            layout = self.layout_of(dataset.columns())
            self._check_derived(types, layout)
            if at_risk := self._columns_at_risk(types, layout):
                self._refuse(at_risk, columns_emptied_on_ray(dataset, self, layout, list(at_risk)), layout, types)
            try:
                flat = merged(dataset, self, layout, manifest)
            except LLMError as error:
                self._stopped = error
                raise
            self._tell(manifest.figures)
        log_summary(self.work_dir)
        return flat

    def _merge(
        self,
        topics: Callable[[], Iterable[Topic]],
        layout: SampleFormat,
        work: MergeRun,
        more_to_come: bool = False,
        groups: Iterable[Sequence[Group]] | None = None,
    ) -> None:
        """Find the pairs of all topics, unless they are known, merge them, and write the rows."""
        known = None if groups is None else iter(groups)
        paired = PairedTopics(
            topics, lambda topic: self._find_groups(topic, layout) if known is None else next(known), self._at_once
        )
        opened = self._open_topics(paired, layout)
        if self._engine is None:
            self._concatenate(opened, work)
        elif self.dry_run:
            self._plan = self._engine.plan(self._requests(opened, work, dry=True))
        else:
            logger.info(f"{self._name}: similar pairs go to {printable(self.api_or_hf_model)}.")
            self._engine.run(
                self._requests(opened, work),
                self._settle_with(work),
                total=lambda: paired.total,
                more_to_come=more_to_come,
            )
        work.finish()

    def _account(self, work: MergeRun) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures and the details of a merge for the record of the run."""
        figures: dict[str, Any] = {
            "rows_in": len(work.entered),
            "topics": work.topics,
            "pairs": work.pairs,
            "merged": work.merged,
            "failed": dict(work.failed),
            "unmergeable": dict(work.unmergeable),
            "emptied_columns": dict(work.emptied),
            # Told apart from what a run has spent.
            **{f"planned_{name}": self._plan[name] for name in _PLANNED_FIGURES if name in self._plan},
        }
        details: dict[str, Any] = {
            "entered": work.entered,
            "merges": work.merges,
            "contents": work.contents,
            "inexact": sorted(work.inexact),
        }
        if self._engine is not None and self._engine.total.requests:
            figures |= self._engine.figures()
            details["usage"] = self._engine.total.as_dict()
        return figures, details

    def _tell(self, figures: Mapping[str, Any]) -> None:
        """Log what the person who pays, or who wonders why nothing was merged, wants to read."""
        if self.dry_run and "planned_calls" in figures:
            logger.info(f"{self._name}: {_price(figures)}{self._further_price(figures)}")
            if 0 < figures["pairs"] < _FEW_PAIRS * figures["rows_in"]:
                logger.info(
                    f"{self._name}: {figures['pairs']:,} pairs in {figures['rows_in']:,} rows are few. A selector "
                    "leaves out similar rows first: of a few hundred rows keep all (select_ratio: 1.0 in the selector "
                    "before it) to have more pairs."
                )
        if lost := figures.get("cache_write_failures"):
            logger.warning(
                f"{self._name}: {lost:,} answers could not be stored in the answer cache ({self._journal_place()}) "
                "and will be paid for again; check whether its disk is full, or set cache_path to another folder."
            )
        if figures["pairs"] or figures["rows_in"] < 2 or self.merge_strategy == "none":
            return
        unmergeable = figures["unmergeable"]
        if figures["rows_in"] - sum(unmergeable.values()) < 2:
            counts = ", ".join(f"{reason} {count}" for reason, count in unmergeable.items())
            logger.warning(
                f"{self._name}: of {figures['rows_in']} rows too few can be merged ({counts}), so nothing was; look at "
                "a row, and at sample_format."
            )
        elif self.pairing == "random":
            logger.warning(
                f"{self._name}: no topic has two rows that share {self._in_common}, or merge_ratio asks for too few. "
                "Nothing was merged; keep more rows in the selection before it, ask for fewer topics, or raise "
                "merge_ratio."
            )
        else:
            logger.warning(
                f"{self._name}: no two rows of a topic exceed the similarity_threshold {self.similarity_threshold:g} "
                f"and share {self._in_common}, so nothing was merged; keep more rows in the selection before it, or "
                "lower the threshold."
            )

    def _further_price(self, figures: Mapping[str, Any]) -> str:
        """Return what a run costs at most on top of its plan if merges are checked."""
        times = self.parameters["try_num"] - 1
        if not (self.checks.any and times and figures["planned_calls"]):
            return ""
        calls = times * figures["planned_calls"]
        # Each further question holds the answer before it.
        written = times * figures["planned_completion_tokens"]
        prompt = times * figures["planned_prompt_tokens"] + written
        prices = self._engine.settings.prices if self._engine is not None else None
        cost = "" if prices is None else f", at a cost of about {prices.cost(prompt, written):.4g}"
        return (
            f" Merges that lose a parent or add a demand are asked for again: at most {calls:,} further calls with "
            f"about {prompt:,} prompt and {written:,} completion tokens{cost}."
        )

    @property
    def _in_common(self) -> str:
        return " and ".join(["their system prompt", *(f"'{name}'" for name in self.pair_within)])

    def _journal_place(self) -> str:
        from mergeit_ops.llm.journals import journal_place

        return journal_place(self.parameters["cache_path"])

    def _find_groups(self, topic: Topic, layout: SampleFormat) -> list[Group]:
        if self.merge_strategy == "none":
            return []
        reader = self.reader(layout)
        readings = reader.readings(topic.table)
        mergeable = np.flatnonzero([reading.problem is None for reading in readings])
        if len(mergeable) < 2:
            return []
        vectors = reader.vectors(topic.table)[mergeable]
        ratio = self.merge_ratio
        if ratio is not None:
            # The share is of all rows of the topic, those that cannot be merged included.
            ratio = ratio * len(readings) / len(mergeable)
        kinds = self._kinds_of(topic, [readings[position] for position in mergeable], mergeable)
        seed = (self.pairing_seed, topic.topic_id)
        groups = find_groups(vectors, self.similarity_threshold, self.pairing, self.max_group_size, ratio, kinds, seed)
        return [replace(group, members=tuple(int(mergeable[member]) for member in group.members)) for group in groups]

    def _kinds_of(
        self, topic: Topic, readings: Sequence[Reading], positions: NDArray[np.int64]
    ) -> list[tuple[str, ...]]:
        """Return the values in which rows must agree to be merged, such as the system prompt.

        :param topic: the topic.
        :param readings: of some of its rows.
        :param positions: of these rows.
        """
        values = [""] * len(readings)
        if self.pair_within:
            there = topic.table.column_names
            places = {name: (column_of(name, there) or name, path_inside(name, there)) for name in self.pair_within}
            columns = list(dict.fromkeys(column for column, _ in places.values()))
            rows = python_rows(topic.table.select(columns).take(pa.array(positions)))
            values = [
                _as_key({name: value_at(row[column], path)[1] for name, (column, path) in places.items()})
                for row in rows
            ]
        return [
            (reading.sample.system, reading.context, value) for reading, value in zip(readings, values, strict=True)
        ]

    def check_pair_within(
        self, types: Mapping[str, pa.DataType], tables_of: Callable[[str], Iterable[pa.Table]]
    ) -> None:
        """Refuse names in `pair_within` for which no row has a value.

        :param types: columns of the flat rows, and their types.
        :param tables_of: gives the values of a column, as tables with this column; used only for JSON.
        :raises DatasetError: naming them.
        """
        missing = [name for name in self.pair_within if not _is_there(name, types, tables_of)]
        if missing:
            there = ", ".join(repr(name) for name in types if is_content(name))
            raise DatasetError(
                f"{self._name}: pair_within names the column {', '.join(map(repr, missing))}, which the samples do not "
                f"have; they have: {there}. No call was made."
            )

    def _open_topics(
        self, paired: Iterable[tuple[Topic, Sequence[Group]]], layout: SampleFormat
    ) -> Iterator[TopicMerges]:
        seen: Counter[str] = Counter()
        reader = self.reader(layout)
        for topic, groups_of_topic in paired:
            ids = row_ids(topic.table, seen, self._name)
            readings = reader.readings(topic.table)
            if self.keep_embeddings:
                topic = replace(topic, table=_with_embeddings(topic.table, reader))
            yield TopicMerges(topic, ids, readings, groups_of_topic, keep_embeddings=self.keep_embeddings)

    def _concatenate(self, topics: Iterable[TopicMerges], work: MergeRun) -> None:
        for topic in topics:
            work.open(topic)
            for number in work.mergeable_groups(topic):
                merged = concatenate(topic.samples(topic.groups[number]))
                work.settle(topic, number, Merge() if self.dry_run else Merge((merged,), model="concat"))

    def _requests(
        self, topics: Iterable[TopicMerges], work: MergeRun, dry: bool = False
    ) -> Iterator[LLMRequest[Sample]]:
        from mergeit_ops.core.merging.prompts import prompt_sha256
        from mergeit_ops.llm.requests import LLMRequest
        from mergeit_ops.llm.usage import estimate_tokens

        conversation, ratio = self._conversation, self._max_answer_ratio
        assert conversation is not None
        for topic in topics:
            work.open(topic)
            for number in work.mergeable_groups(topic):
                parents = topic.samples(topic.groups[number])
                messages = conversation.messages(parents, self.system_prompt)
                expected = estimate_tokens(conversation.expected_answer(parents))
                yield LLMRequest(
                    tag=(topic, number, prompt_sha256(messages)),
                    messages=messages,
                    parse=_parser(conversation, self.checks, parents),
                    num_candidates=self.num_candidates,
                    schema=conversation.schema,
                    completion_tokens=expected,
                    max_tokens=None if ratio is None else ceil(ratio * expected) + _FORM_TOKENS,
                )
                if dry:
                    work.settle(topic, number, Merge())

    def _settle_with(self, work: MergeRun) -> Callable[[LLMOutcome[Sample]], None]:
        def settle(outcome: LLMOutcome[Sample]) -> None:
            topic, number, prompt_hash = outcome.tag
            error = None if outcome.error is None else str(outcome.error)
            model = self.api_or_hf_model if outcome.answers else None
            work.settle(topic, number, Merge(outcome.answers, error, model, prompt_hash if outcome.answers else None))

        return settle

    def _embedding_of(self, samples: Sequence[Sample]) -> list[str]:
        return encode_vectors(self.encoder.embed(sample.query for sample in samples))


def _with_embeddings(table: pa.Table, reader: SampleReader) -> pa.Table:
    """Return rows with embeddings as text; rows of Data-Juicer's groupers have none, or lists of floats."""
    if EMBEDDING in table.column_names:
        with reader.reading_embeddings():
            return embeddings_as_text(table)
    return set_column(table, EMBEDDING, vectors_column(reader.vectors(table)).combine_chunks())


def _as_key(row: Mapping[str, Any]) -> str:
    """Return the values of a row as one text, equal for equal values."""
    try:
        return encode_row(row)
    except UnencodableError:
        return repr(row)


def _is_there(name: str, types: Mapping[str, pa.DataType], tables_of: Callable[[str], Iterable[pa.Table]]) -> bool:
    column, path = column_of(name, types), path_inside(name, types)
    if column is None:
        return False
    known = type_has(types[column], path)
    if known is not None:
        return known
    return any(value_at(row[column], path)[0] for table in tables_of(column) for row in python_rows(table))


def _parser(conversation: MergeConversation, checks: MergeChecks, parents: Sequence[Sample]) -> Callable[[str], Sample]:
    def parse(text: str) -> Sample:
        merged = conversation.read(text, parents)
        checks.check(merged, parents)
        return merged

    return parse


def _price(figures: Mapping[str, Any]) -> str:
    """Return a plan as the sentence that the person who pays reads."""
    plan = {name: figures.get(f"planned_{name}") for name in _PLANNED_FIGURES}
    cost = "" if plan["cost"] is None else f", at a cost of about {plan['cost']:.4g}"
    return (
        f"a run would make {plan['calls']:,} calls for {figures['pairs']:,} pairs ({plan['cache_hits']:,} answers are "
        f"in the journal) and take about {plan['prompt_tokens']:,} prompt and {plan['completion_tokens']:,} completion "
        f"tokens{cost}; answers that have to be asked for again come on top."
    )
