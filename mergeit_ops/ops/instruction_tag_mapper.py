"""Tag each sample with what its instruction is about."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import TEXT, Number, OneOf
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.taggers import TAGGERS, Tagger
from mergeit_ops.jobs.tagging import tag_rows
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS, SampleOperator

OP_NAME = "instruction_tag_mapper"


@OPERATORS.register_module(OP_NAME)
class InstructionTagMapper(SampleOperator, Mapper):
    """Add a column of tags that say what each instruction is about and asks for.

    `tags` is a column of its own, a list of texts, empty for samples without a tag. Their number is InsTag's measure of
    complexity. Only instructions are tagged, all of them in a conversation; responses never are.

    `keywords` needs no language model and no download. A tag is a key phrase: one to `ngram_max` words that follow each
    other when numbers, English stop words and plural endings are left out, such as `write poem`. It must be in
    `min_tag_count` samples. Of the phrases of an instruction, those of the highest tf-idf are taken, and no two that
    share a word. It stands in for the tags that a language model gives (InsTag, arXiv 2308.07074): it finds words,
    not intentions. In Chinese, Japanese and Thai, which put no spaces between words, each pair of characters counts as
    a phrase. In other languages than English no stop words are left out."""

    # Data-Juicer's partitioned Ray executor would otherwise run it on each partition for itself.
    is_global_operation = True
    changes_rows = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        "tagger": OneOf(tuple(TAGGERS)),
        "tags_key": TEXT,
        "max_tags": Number(low=1, integer=True),
        "ngram_max": Number(low=1, high=5, integer=True),
        "min_tag_count": Number(low=1, integer=True, optional=True),
    }

    def __init__(
        self,
        tagger: str = "keywords",
        tags_key: str = "tags",
        max_tags: int = 10,
        ngram_max: int = 3,
        min_tag_count: Optional[int] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param tagger: what gives the tags: `keywords`.
        :param tags_key: column that takes the tags. It must not be there yet.
        :param max_tags: tags of a sample at most, those of the highest tf-idf.
        :param ngram_max: words in a tag at most.
        :param min_tag_count: samples that a phrase must be in to be a tag; null: one for every 15,000 samples, and at
            least 2. With 1 nearly every sample has tags of its own.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.tags_key = tags_key

    @property
    def tagger(self) -> Tagger:
        """Return the tagger, with those of the parameters that it has."""
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
        :raises DatasetError: if a column is missing, the rows are topics, most cannot be read, or the column of tags is
            there already.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped, "put this operator before the grouper")
            if self.tags_key in rows.columns:
                raise DatasetError(
                    f"{self._name}: there is a column '{self.tags_key}' already; name another one with tags_key, or "
                    "remove it."
                )
            tagged, figures = tag_rows(rows, self.reader_of(rows.columns), self.tagger, self.tags_key)
            manifest.figures |= figures
        logger.info(
            f"{self._name}: {figures['mean_tags']:.1f} tags per sample; {figures['untagged']:,} of "
            f"{figures['rows_out']:,} samples have none."
        )
        return tagged.dataset
