"""Tag each sample with what its instruction is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Optional

from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import FLAG, OPTIONAL_FLAG, OPTIONAL_TEXT, TEXT, Number, OneOf
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.tags.questions import QUESTIONS, TagQuestion
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.manifest import Manifest, log_summary
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.taggers import TAGGERS, Tagger
from mergeit_ops.jobs.tagging import tag_rows
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

OP_NAME = "instruction_tag_mapper"


@OPERATORS.register_module(OP_NAME)
class InstructionTagMapper(LLMOperator, Mapper):
    """Add a column of tags that say what each instruction is about and asks for.

    The column `tags` holds a list of texts, which is empty for samples without a tag. The number of tags is InsTag's
    measure of complexity. Only instructions are tagged (in a conversation, all of them), never responses.

    `keywords` needs no language model and no download. A tag is a key phrase, such as `write poem`: one to `ngram_max`
    successive words, after numbers, English stop words and plural endings are removed. It must occur in `min_tag_count`
    samples. An instruction gets its phrases with the highest tf-idf, no two of which share a word. This is a substitute
    for the tags of a language model (InsTag, arXiv 2308.07074): it finds words, not intentions. In Chinese, Japanese
    and Thai, which put no spaces between words, each pair of characters counts as a phrase. Only English stop words are
    removed.

    `llm` asks a language model, one call for each distinct instruction. Its prompt follows InsTag's prompt to ChatGPT:
    both ask for coarse tags of the intentions, in English, each with an explanation, as a JSON list. The wording is our
    own. The sample is sent as a JSON record, not between two marks, and all questions of a conversation are tagged in
    one call. By choosing this tagger you agree to its cost: `dry_run` tells you the cost first, and `max_total_tokens`
    limits it.

    `instagger` is InsTag's own model, `OFA-Sys/InsTagger` with 7B parameters, on this machine or behind a server, with
    its published prompt. Replies are greedy and have at most 512 tokens. The published code cuts long instructions;
    here a sample that does not fit into the model's window has no tags.

    A reply that cannot be read is asked for again, up to `try_num` times. A local model without `sampling_params` is
    asked once, because its greedy reply would be the same. After that the sample has no tags. The stat
    `<tags_key>_status` says why: `unparsable`, `refused`, `truncated`, `api_failed`, ...; it is `ok` for other samples,
    even if the model found nothing to tag, and `empty_instruction` if there was nothing to ask. Replies are kept in a
    journal on disk, like those of the merger: a second run of the same recipe pays only for what is missing."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    changes_rows = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **LLM_CONSTRAINTS,
        "tagger": OneOf((*TAGGERS, *QUESTIONS)),
        "tags_key": TEXT,
        "max_tags": Number(low=1, integer=True),
        "ngram_max": Number(low=1, high=5, integer=True),
        "min_tag_count": Number(low=1, integer=True, optional=True),
        "api_or_hf_model": OPTIONAL_TEXT,
        "is_hf_model": OPTIONAL_FLAG,
        "dry_run": FLAG,
    }

    def __init__(
        self,
        tagger: str = "keywords",
        tags_key: str = "tags",
        max_tags: int = 10,
        ngram_max: int = 3,
        min_tag_count: Optional[int] = None,
        api_or_hf_model: Optional[str] = None,
        is_hf_model: Optional[bool] = None,
        dry_run: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param tagger: what gives the tags: `keywords`, `llm` or `instagger`. The last two ask a language model, which
            the parameters from `api_or_hf_model` on describe.
        :param tags_key: name of the new column. It must not exist yet.
        :param max_tags: most tags that `keywords` gives a sample; it takes those with the highest tf-idf.
        :param ngram_max: most words in a tag of `keywords`.
        :param min_tag_count: number of samples in which a phrase must occur to be a tag of `keywords`; null: one for
            every 15,000 samples, and at least 2. With 1, nearly every sample gets tags that no other sample has.
        :param api_or_hf_model: name of the model on the server; for a local model, its name on the Hugging Face Hub or
            a folder. null: `gpt-4o` for `llm`, `OFA-Sys/InsTagger` for `instagger`.
        :param is_hf_model: false: an OpenAI-compatible server; true: a local Hugging Face model through transformers.
            null: true for `instagger`, unless `backend` says otherwise, and false for `llm`.
        :param dry_run: make no call; report the calls, the estimated tokens and, if prices are given, the cost. The
            samples get no tags, and the run exports them next to the `export_path`, to a file with `.dry_run` in its
            name.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, api_or_hf_model=api_or_hf_model, is_hf_model=is_hf_model, **kwargs)
        self.tags_key = tags_key
        self.dry_run = dry_run
        self._question: TagQuestion | None = QUESTIONS.get(tagger)
        self._engine: LLMEngine | None = None
        if self._question is not None:
            self._llm = _with_defaults(self._llm, self._question)
            self._engine = self.new_engine(not dry_run, self._question.sampling_params)

    @property
    def tagger(self) -> Tagger:
        """Return the tagger, one that asks no model, with the parameters that it reads."""
        made = TAGGERS[self.parameters["tagger"]]
        given = {field.name: self.parameters[field.name] for field in fields(made)}  # type: ignore[arg-type]
        # A recipe may write a whole number as 3.0.
        return made(**{name: int(value) if isinstance(value, float) else value for name, value in given.items()})

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Tag a flat dataset.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used; no text changes.
        :return: the samples with their tags.
        :raises DatasetError: if a column is missing, the rows are topics, most rows cannot be read, or the column of
            tags exists already.
        :raises LLMError: if the language model had to stop, or cannot be loaded.
        """
        with self.stopping_once(dataset), self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped, "put this operator before the grouper")
            if self.tags_key in rows.columns:
                raise DatasetError(
                    f"{self._name}: there is a column '{self.tags_key}' already; choose another name with tags_key, or "
                    "remove it."
                )
            tagged = self._tagged(rows, manifest)
        figures = manifest.figures
        logger.info(
            f"{self._name}: {figures['mean_tags']:.1f} tags per sample; {figures['untagged']:,} of "
            f"{figures['rows_out']:,} samples {agree(figures['untagged'], 'has', 'have')} none."
        )
        if self._engine is not None:
            if figures["failed"]:
                reasons = ", ".join(f"{reason} {count:,}" for reason, count in figures["failed"].items())
                logger.warning(f"{self._name}: samples without tags because there is no reply, by reason: {reasons}.")
            log_summary(self.work_dir)
            self.tell_plan(figures)
        return tagged.dataset

    @property
    def plans_only(self) -> bool:
        """See `LLMOperator`; a tagger that asks no model writes its tags in any case."""
        return self.dry_run and self._engine is not None

    def _tagged(self, rows: Rows, manifest: Manifest) -> Rows:
        reader = self.reader_of(rows.columns)
        if self._engine is None or self._question is None:
            tagged, figures = tag_rows(rows, reader, self.tagger, self.tags_key)
            manifest.figures |= figures
            return tagged
        from mergeit_ops.jobs.llm_tagging import LLMTagging, ask_for_tags

        if not self.dry_run:
            what = f"{many(len(rows), 'instruction')} {agree(len(rows), 'goes', 'go')}"
            logger.info(f"{self._name}: {what} to {printable(self._engine.model)}.")
        job = LLMTagging(reader, self._engine, self._question, self.tags_key, self.dry_run, self.may_use_gpu)
        tagged = ask_for_tags(rows, job, manifest)
        if is_ray_dataset(rows.dataset):
            from mergeit_ops.distributed.new_columns import note_column

            note_column(STATS)
        return tagged


def _with_defaults(given: Mapping[str, Any], question: TagQuestion) -> dict[str, Any]:
    """Return the parameters of an LLM, with the question's defaults for those that the recipe leaves out.

    :param given: parameters of the recipe.
    :param question: the question to ask.
    """
    is_hf_model = given["is_hf_model"]
    if is_hf_model is None:
        is_hf_model = question.is_local and given["backend"] is None
    found = {**given, "api_or_hf_model": given["api_or_hf_model"] or question.model, "is_hf_model": is_hf_model}
    if is_hf_model or given["backend"] == "huggingface":
        if question.chat_template is not None:
            found["model_params"] = {"chat_template": question.chat_template, **(given["model_params"] or {})}
        if given["sampling_params"] is None:
            # A greedy reply would be the same a second time.
            found["try_num"] = 1
    return found
