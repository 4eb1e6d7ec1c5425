"""Score samples by the losses of a causal language model: Superfiltering, Cherry's IFD, perplexity."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Optional

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset, Features
from loguru import logger

from mergeit_ops.constraints import MAPPING, TEXT, Number, OneOf
from mergeit_ops.core.columns import BATCH_META, STATS
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.superfiltering import (
    MEASURES,
    OK,
    STATUS,
    Span,
    difficulty,
    prompt_text,
    response_spans,
    sample_text,
)
from mergeit_ops.dataset.tables import JSON, iter_tables, json_array, python_rows, set_column, write_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.errors import MergeItError, RecipeError
from mergeit_ops.llm.huggingface import DTYPE_PARAMS
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS
from mergeit_ops.ops.score_filter import ScoreFilter

OP_NAME = "superfiltering_filter"
DTYPES = ("float32", "bfloat16", "float16")
_WHERE = "put it before the grouper, or after topic_reverse_grouper or llm_pair_merger_mapper"
_ROWS_AT_ONCE = 4_096  # enough to find texts of like lengths

Found = tuple[Optional[float], str]
"""A sample's value, if any, and `ok` or why there is none."""


@OPERATORS.register_module(OP_NAME)
class SuperfilteringFilter(ScoreFilter):
    """Score how hard a small language model finds each response, and filter by it.

    `ppl_ratio` is the IFD score of Superfiltering, perplexity of the response given the instruction over perplexity of
    the response alone: below 1 the instruction helps, and the closer to 1 the less it does. `loss_ratio` is Cherry's
    quotient, that of the losses, with the prompts of Superfiltering. `perplexity` is that of the whole sample. The
    score goes to `__dj__stats__`; with `budget_selector` behind it, on that field, the highest or lowest are kept.
    (Data-Juicer's instruction_following_difficulty_filter has the quotient of losses alone and drops what
    Superfiltering keeps unless told otherwise; its llm_perplexity_filter takes samples one by one and fails on more
    than one GPU process.)"""

    step = "Kept by a language model's losses"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        "hf_model": TEXT,
        "model_params": MAPPING,
        "dtype": OneOf(DTYPES),
        "measure": OneOf(tuple(MEASURES)),
        "max_length": Number(low=2, integer=True),
        "min_score": Number(optional=True),
        "max_score": Number(optional=True),
    }

    def __init__(
        self,
        hf_model: str = "gpt2",
        model_params: Optional[dict[str, Any]] = None,
        dtype: str = "float32",
        measure: str = "ppl_ratio",
        max_length: int = 1024,
        min_score: Optional[float] = None,
        max_score: Optional[float] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param hf_model: causal language model: a name on the Hugging Face Hub or the path of a folder. The default is
            Superfiltering's, of 124M parameters.
        :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
        :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`, which halve the memory of large
            models on a GPU.
        :param measure: `ppl_ratio` (Superfiltering), `loss_ratio` (Cherry) or `perplexity`.
        :param max_length: tokens of a sample at most, or as many as the model can read where that is less; the end of
            a longer response is cut.
        :param min_score: lowest score that a sample may have; null: no such filter. Data-Juicer's
            `min_closed_interval: false` excludes the bound itself.
        :param max_score: highest score that a sample may have; null: no such filter. For IFD 1.0, with
            `max_closed_interval: false` as in Superfiltering. With either bound, a sample without a score is dropped,
            and counted by its reason.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        if set(DTYPE_PARAMS) & set(model_params or {}):
            raise RecipeError(f"{self._name}: the type of the weights is the parameter dtype, not one of model_params.")
        self.hf_model = hf_model
        self.model_params = dict(model_params or {})
        self.dtype = dtype
        self.measure = measure
        self.max_length = int(max_length)
        # Without `accelerator` in the recipe, a GPU where there is one.
        self._asked_device = None if kwargs.get("accelerator") is None else self.device

    @property
    def stats_key(self) -> str:
        """Return the key of `__dj__stats__` that holds the score."""
        return MEASURES[self.measure]

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None, reduce: bool = True) -> Dataset:
        """Score and filter. One process does it, whatever `np`: torch already uses every core.

        :param dataset: flat samples.
        :param exporter: Data-Juicer's exporter, for `stats_export_path`.
        :param tracer: Data-Juicer's tracer: samples that are dropped are traced.
        :param reduce: whether to filter; `dj-analyze` only looks at the stats.
        :return: flat samples.
        :raises DatasetError: if a column is missing, or the rows are topics.
        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        only_look = self.process is None  # how Data-Juicer's analyzer says that it wants stats and no filtering
        if not only_look:
            self.check_arrival(len(dataset))
        self.check_flat(is_grouped(dataset.features), _WHERE)
        layout = self.layout_of(dataset.column_names)
        counts: Counter[str] = Counter()
        with self.recorded() as manifest:
            tables = iter_tables(dataset, rows=_ROWS_AT_ONCE)
            scored = write_dataset(
                (set_column(table, STATS, json_array(self._stats_of(table, layout, counts))) for table in tables),
                Features({**dataset.features, STATS: JSON}),
            )
            if exporter is not None and self.stats_export_path is not None:
                exporter.export_compute_stats(scored, self.stats_export_path)
            keep_all = only_look or not reduce or not self.is_bounded
            filtered = scored if keep_all else scored.select(np.flatnonzero(self.rows_that_stay(scored, tracer)))
            manifest.figures |= {"rows_in": len(dataset), "rows_out": len(filtered), "unscored": dict(counts)}
        self._tell(counts)
        return filtered

    def _tell(self, counts: Counter[str]) -> None:
        if counts:
            fate = "dropped" if self.is_bounded else "kept"
            reasons = ", ".join(f"{reason} {count:,}" for reason, count in counts.items())
            logger.warning(f"{self._name}: {counts.total():,} samples have no score and are {fate}: {reasons}.")

    def _stats_of(self, table: pa.Table, layout: SampleFormat, counts: Counter[str]) -> list[dict[str, Any]]:
        """Return the stats of some rows, with what they bring."""
        found = self.scores([reading.sample for reading in self.reader(layout).readings(table)])
        counts.update(status for _, status in found if status != OK)
        there = [row[STATS] for row in python_rows(table.select([STATS]))] if STATS in table.column_names else []
        before = there or [None] * len(found)
        return [
            (stats or {}) | {self.stats_key: score, STATUS: status}
            for stats, (score, status) in zip(before, found, strict=True)
        ]

    def scores(self, samples: Sequence[Sample]) -> list[Found]:
        """Score samples; the score of one does not depend on the others, beyond float noise.

        :param samples: n samples.
        :return: n scores, each with `ok`, or None with `empty_response`, `response_too_short`, `instruction_too_long`
            or `not_finite`.
        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        if not samples:
            return []
        from mergeit_ops.llm.huggingface import default_device
        from mergeit_ops.llm.losses import load_loss_model

        try:
            device = self._asked_device or default_device()
            model = load_loss_model(self.hf_model, self.model_params, device, self.dtype)
            spans = self._spans(model, samples)
            flat = [span for row in spans if not isinstance(row, str) for span in row]
            losses = iter(model.mean_losses(flat, self._name))
        except MergeItError as error:
            raise type(error)(f"{self._name}: {error}") from error
        return [self._found(row, losses) for row in spans]

    def _found(self, spans: Sequence[Span] | str, losses: Iterable[float]) -> Found:
        if isinstance(spans, str):
            return None, spans
        value = difficulty(self.measure, [loss for _, loss in zip(spans, losses, strict=False)])
        return value, "not_finite" if value is None else OK

    def _spans(self, model: Any, samples: Sequence[Sample]) -> list[Sequence[Span] | str]:
        most = min(self.max_length, model.most_positions or self.max_length)
        if self.measure == "perplexity":
            texts = model.tokens([sample_text(sample) for sample in samples])
            wholes = [(*model.start, *ids)[:most] for ids in texts]
            spans = [(Span(whole, 1),) if len(whole) > 1 else "response_too_short" for whole in wholes]
            answered = [bool(sample.output.strip()) for sample in samples]
            return [span if has else "empty_response" for span, has in zip(spans, answered, strict=True)]
        prompts = model.tokens([prompt_text(sample) for sample in samples])
        responses = model.tokens([sample.output if sample.output.strip() else "" for sample in samples])
        return [
            response_spans(prompt, response, model.start, most)
            for prompt, response in zip(prompts, responses, strict=True)
        ]

    def score_block(self, block: pa.Table) -> pa.Table:
        """Score a batch of rows on Ray."""
        from mergeit_ops.distributed.columns import with_json, with_stats
        from mergeit_ops.distributed.ledger import batch_name, report, stops_reported

        with stops_reported(self._ledger):
            self.check_flat(BATCH_META in block.column_names, _WHERE)
        if self._driver is not None:
            self._driver.apply()
        counts: Counter[str] = Counter()
        table = with_json(block)
        with stops_reported(self._ledger):
            stats = self._stats_of(table, self.layout_of(table.column_names), counts)
        stays = sum(self.process_single({STATS: row}) for row in stats)
        figures = {"rows_in": table.num_rows, "rows_out": stays, "unscored": dict(counts)}
        report(self._ledger, batch_name(table), figures)
        return with_stats(block, stats, {self.stats_key: pa.float64(), STATUS: pa.string()})

    def compute_stats_batched(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        """Score one batch, in Data-Juicer's form of a dict of lists."""
        table = pa.table({name: values for name, values in dict(samples).items() if name != STATS})
        stats = self._stats_of(table, self.layout_of(table.column_names), Counter())
        before = samples.get(STATS) or [None] * len(stats)
        samples[STATS] = [(old or {}) | new for old, new in zip(before, stats, strict=True)]
        return samples

    def process_single(self, sample: Any) -> bool:
        """Return whether a sample stays, from its stats."""
        if not self.is_bounded:
            return True
        score = (sample[STATS] or {}).get(self.stats_key)
        return score is not None and bool(self.get_keep_boolean(score, self.min_score, self.max_score))
