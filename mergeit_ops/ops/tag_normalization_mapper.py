"""Merge tags that mean the same, and drop rare tags."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import OPTIONAL_PATH, TEXT, Number
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.tag_lists import check_tags
from mergeit_ops.dataset.tag_mapping import read_tag_mapping, write_tag_mapping
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import named
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.tag_normalization import TagNormalization
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS

OP_NAME = "tag_normalization_mapper"


@OPERATORS.register_module(OP_NAME)
class TagNormalizationMapper(EmbeddingOperator, Mapper):
    """Replace the tags of all samples by fewer, more common ones.

    After InsTag (arXiv 2308.07074), in four steps. Rules: tags are put in lower case, characters that are not letters
    or digits become one space, and words become singular; a tag of symbols only is dropped. Frequency: tags of fewer
    than `min_tag_count` samples are dropped; the paper does this first and so loses the rare spellings of a common tag.
    Meaning: tags whose embeddings have a cosine of at least `merge_similarity` become one tag, and so do chains of
    these tags (DBSCAN with `min_samples` 1). Its name is the most frequent of them; ties go to the shortest, then to
    the first in the alphabet. Association, if you set `min_support`: a tag that nearly always occurs with another one
    becomes that one. The list of each sample keeps its order and has each tag once."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    changes_rows = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "tags_key": TEXT,
        "min_tag_count": Number(low=1, integer=True, optional=True),
        "merge_similarity": Number(low=0, high=1, low_open=True, optional=True),
        "min_support": Number(low=1, integer=True, optional=True),
        "min_confidence": Number(low=0, high=1, low_open=True),
        "mapping_path": OPTIONAL_PATH,
    }

    def __init__(
        self,
        tags_key: str = "tags",
        min_tag_count: Optional[int] = None,
        merge_similarity: Optional[float] = 0.95,
        min_support: Optional[int] = None,
        min_confidence: float = 0.99,
        mapping_path: Optional[str] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param tags_key: column of the tags, a list of texts for each sample. Its values are replaced.
        :param min_tag_count: number of samples in which a tag must occur; null: one for every 15,000 samples, and at
            least 2. InsTag uses 20 for 306,044 samples, MIG uses 2.
        :param merge_similarity: lowest cosine at which two tags become one. InsTag and MIG use 0.95. null: tags are
            neither embedded nor merged. At most 100,000 tags can be compared.
        :param min_support: fewest samples with both tags for one tag to become the other. InsTag uses 40. null: no tag
            is replaced by association.
        :param min_confidence: smallest share of the samples with the first tag that must also have the other one.
            InsTag uses 0.99.
        :param mapping_path: a JSON file that maps each tag, in the form of the rules, to its name. If the file exists,
            it is used as it is, and tags that it does not have are dropped. Otherwise it is written. null: no file.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if the file at `mapping_path` does not hold this mapping.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.tags_key = tags_key
        self._mapping_path = None if mapping_path is None else Path(mapping_path)
        self._known_names()

    def _known_names(self) -> dict[str, str] | None:
        with named(self._name):
            return None if self._mapping_path is None else read_tag_mapping(self._mapping_path)

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Normalise the tags of a flat dataset.

        :param dataset: flat samples with tags.
        :param exporter: not used.
        :param tracer: not used; no text changes.
        :return: the samples with their new tags.
        :raises DatasetError: if there is no column of tags, or the rows are topics.
        :raises DiskError: if the mapping cannot be written.
        """
        with self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped, "put this operator before the grouper")
            check_tags(rows.types, self.tags_key, self._name)
            names, found = self._names(rows)
            normalized, figures = self._job.normalized(rows, names)
            manifest.figures |= {**figures, **found}
        left = len(set(names.values()))
        verb = agree(figures["untagged"], "has", "have")
        logger.info(
            f"{self._name}: {many(left, 'tag')} left, {figures['mean_tags']:.1f} per sample, and "
            f"{figures['untagged']:,} of {figures['rows_out']:,} samples {verb} none."
        )
        return normalized.dataset

    def _names(self, rows: Rows) -> tuple[dict[str, str], dict[str, int]]:
        """Return the names of the tags, from the file or newly made, and the figures for the record."""
        known = self._known_names()
        if known is not None:
            logger.info(f"{self._name}: {self._mapping_path} names {many(len(known), 'tag')}.")
            return known, {"tags_known": len(known)}
        names, figures = self._job.mapping(rows)
        if self._mapping_path is not None:
            with named(self._name):
                write_tag_mapping(self._mapping_path, names)
        return names, figures

    @property
    def _job(self) -> TagNormalization:
        parameters = self.parameters
        least, support = parameters["min_tag_count"], parameters["min_support"]
        return TagNormalization(
            self._name,
            self.tags_key,
            self.encoder,
            None if least is None else int(least),
            parameters["merge_similarity"],
            None if support is None else int(support),
            parameters["min_confidence"],
        )
