"""Have a language model turn texts into samples: find the instruction that a text answers, or make a whole task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import FLAG, TEXT, Number, OneOf
from mergeit_ops.core.backtranslation.bounds import TextBounds
from mergeit_ops.core.backtranslation.methods import BACKTRANSLATIONS
from mergeit_ops.core.columns import META, STATS, is_content
from mergeit_ops.core.formats import FormatName, resolve_format
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.dataset.recipe_columns import reader_of_moved
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.backtranslation import BacktranslationJob, backtranslate_rows
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.first_look import recipe_of
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

OP_NAME = "backtranslation_mapper"

_LAYOUT: FormatName = "alpaca"


@OPERATORS.register_module(OP_NAME)
class BacktranslationMapper(LLMOperator, Mapper):
    """Have a language model turn texts into samples: find the instruction that a text answers, or make a whole task.

    `instruction` asks for the instruction that a text is the best answer to; the text becomes the output, unchanged
    (instruction backtranslation, Humpback, arXiv 2308.06259). `grounded_task` asks for instruction, input and output,
    all taken from what the text says (TEGIT, DoG-Instruct, arXiv 2309.05447). Both papers train a model for this. Here
    any model gets a prompt of our own, with one call for each distinct text. Some of the results are bad, so let a
    judge filter them afterwards: `sample_score_filter` with the rubric `humpback` or `grounded_task` of `llm_judge`.

    The column of the text is removed, and `instruction`, `input` and `output` are added. All other columns stay, except
    stats, embeddings and hashes, which describe the old text. `__dj__meta__` holds the text in
    `backtranslation_source`, the id of the original row in `backtranslation_source_id`, and in `backtranslation_status`
    either `ok` or the reason why there is no sample.

    Texts out of bounds cost no call. Their status is `too_short`, `too_long`, `short_line`, or `bad_row` where there is
    no text. Long texts are not cut; to cut them, put Data-Juicer's `text_chunk_mapper` before this operator. Each reply
    is checked without a model: for its form, its language, new web addresses, a refusal, and an instruction that points
    to a text its reader does not have. The check of the language compares scripts. Pointers and refusals are recognised
    in English only. A reply that breaks a rule is asked for again, up to `try_num` times in all. If the last one breaks
    a rule too, the status is the reason: `unparsable`, `empty`, `refused`, `truncated`, `echo`, `language`, `new_url`,
    `procedure`, `api_failed`, ... Rows without a sample have three empty texts, or are dropped and counted
    (`on_failure`).

    Replies are kept in a journal on disk, like those of the merger: a second run of the same recipe pays only for what
    is missing. `dry_run` tells you the price first, and `max_total_tokens` limits it."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    changes_rows = True
    may_drop = True
    kind = "rewriter"
    step = "Backtranslated"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **LLM_CONSTRAINTS,
        "method": OneOf(BACKTRANSLATIONS),
        "text_key": TEXT,
        "min_chars": Number(low=0, integer=True),
        "max_chars": Number(low=1, integer=True, optional=True),
        "min_line_chars": Number(low=0, integer=True),
        "on_failure": OneOf(("keep", "drop")),
        "dry_run": FLAG,
    }

    def __init__(
        self,
        method: str = "instruction",
        text_key: str = "text",
        min_chars: int = 200,
        max_chars: Optional[int] = 8_000,
        min_line_chars: int = 0,
        on_failure: str = "keep",
        dry_run: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param method: `instruction` or `grounded_task`.
        :param text_key: column that holds the texts.
        :param min_chars: fewest characters of a text, without whitespace at its ends. A shorter text than 200
            characters is seldom an answer to a request. Published code for Humpback takes 1000.
        :param max_chars: most characters of a text; null: any number. 8000 characters are about 2,000 tokens of
            English, which is what TEGIT's model can read and write together. Published code for Humpback takes 2200.
        :param min_line_chars: fewest characters of each line that is not blank. Published code for Humpback takes 5,
            which excludes the menus of web pages, but also code and tables. 0 allows lines of any length.
        :param on_failure: what happens to a row without a sample, including a row whose text is out of bounds: `keep`
            keeps it with three empty texts; `drop` drops it and counts it in the record.
        :param dry_run: make no call; report the calls, the estimated tokens and, if prices are given, the cost. Rows
            that would be asked about have the status `dry_run` and three empty texts. They are kept, and the
            run exports them next to the `export_path`, to a file with `.dry_run` in its name.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, text_key=text_key, **kwargs)
        if self.sample_format not in ("auto", _LAYOUT):
            raise RecipeError(
                f"{self._name}: sample_format must be 'auto' or '{_LAYOUT}', the layout that it writes, got "
                f"{self.sample_format!r}."
            )
        if max_chars is not None and min_chars > max_chars:
            raise RecipeError(f"{self._name}: min_chars ({min_chars}) must not be above max_chars ({max_chars}).")
        self.written = (self.instruction_key or "instruction", self.query_key or "input", self.response_key or "output")
        if len(set(self.written)) < len(self.written):
            raise RecipeError(
                f"{self._name}: instruction_key, query_key and response_key must name three columns, got "
                f"{', '.join(map(repr, self.written))}."
            )
        self.dry_run = dry_run
        self.bounds = TextBounds(int(min_chars), None if max_chars is None else int(max_chars), int(min_line_chars))
        self.method = BACKTRANSLATIONS[method]()
        self._engine: LLMEngine = self.new_engine(check=not dry_run)

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See `SampleOperator`."""
        return super().role_in(parameters) | {"may_drop": parameters.get("on_failure", "keep") == "drop"}

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Turn the texts of a flat dataset into samples.

        :param dataset: rows with a column of texts.
        :param exporter: not used.
        :param tracer: not used: `__dj__meta__` holds every text.
        :return: the rows in the same order. A row without a sample is among them unless `on_failure` is `drop`.
        :raises DatasetError: if there is no column of texts, a column to be written exists already, the rows are
            topics, or most rows have no text.
        :raises LLMError: if the language model had to stop, or cannot be loaded.
        """
        with self.stopping_once(dataset), self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped, "put this operator before the grouper")
            made = backtranslate_rows(rows, self._job(rows), manifest)
            if is_ray_dataset(dataset):
                from mergeit_ops.distributed.new_columns import forget_column, note_column

                note_column(META)
                forget_column(STATS)
        self._tell(manifest.figures)
        log_summary(self.work_dir)
        self.tell_plan(manifest.figures)
        return made.dataset

    def _job(self, rows: Rows) -> BacktranslationJob:
        """Return the job that makes the samples.

        :raises DatasetError: if the columns do not fit.
        :raises RecipeError: if a later operator reads the text from the column that is removed.
        """
        types = {name: kind for name, kind in rows.types.items() if is_content(name)}
        if self.text_key not in types:
            there = ", ".join(map(repr, types)) or "none"
            raise DatasetError(
                f"{self._name}: the column {self.text_key!r} of the texts is missing; the dataset has: {there}. Name "
                "yours in text_key."
            )
        kind = types[self.text_key]
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_null(kind)):
            raise DatasetError(
                f"{self._name}: the column {self.text_key!r} holds values of type {kind}, not texts; name a column of "
                "texts in text_key."
            )
        after = [name for name in types if name != self.text_key]
        there_already = [name for name in self.written if name in after]
        if there_already:
            raise DatasetError(
                f"{self._name}: there is a column {there_already[0]!r} already, which would be overwritten; remove it, "
                "or name others in instruction_key, query_key and response_key."
            )
        self._check_later_steps()
        try:
            layout = resolve_format(
                _LAYOUT,
                [*after, *self.written],
                instruction_key=self.instruction_key,
                query_key=self.query_key,
                response_key=self.response_key,
                system_key=self.system_key,
                history_key=self.history_key,
            )
        except ValueError as error:
            raise DatasetError(f"{self._name}: {error}.") from error
        return BacktranslationJob(
            self._name,
            self._engine,
            self.method,
            self.text_key,
            self.bounds,
            layout,
            self.written,
            drops=self.parameters["on_failure"] == "drop",
            dry_run=self.dry_run,
            may_use_gpu=self.may_use_gpu,
        )

    def _check_later_steps(self) -> None:
        recipe = recipe_of(self)
        if recipe is None or self.place is None or self.text_key in self.written:
            return
        reader = reader_of_moved(recipe, self.place, self.text_key)
        if reader is not None:
            raise RecipeError(
                f"{self._name}: it moves the column {self.text_key!r} into the metadata, but {reader} names it. Put "
                "that operator before this one, or have the output written there with response_key: "
                f"{self.text_key}."
            )

    def _tell(self, figures: dict[str, Any]) -> None:
        if not self.dry_run:
            number, rows = figures["backtranslated"], figures["rows_in"]
            logger.info(
                f"{self._name}: {printable(self._engine.model)} made {many(number, 'sample')} of {many(rows, 'text')}."
            )
        reasons = figures["without_sample"]
        if reasons:
            told = ", ".join(f"{reason} {count:,}" for reason, count in reasons.items())
            done = "dropped" if figures["filtered_out"] else "kept without one"
            logger.warning(f"{self._name}: texts that became no sample are {done}, by reason: {told}.")
