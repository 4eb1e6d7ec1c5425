"""Let an LLM merge similar samples of a topic into richer ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Optional

import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import FLAG, MAPPING, NAMES, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.pairing import PAIRINGS, Pairing
from mergeit_ops.core.merging.prompts import PROMPT_STYLES
from mergeit_ops.dataset.columns_at_risk import columns_at_risk
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.manifest import Manifest, log_summary
from mergeit_ops.dataset.recipe import Recipe, recipe_and_place
from mergeit_ops.dataset.topics import flat_types
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.merge_advice import advise, planned_price
from mergeit_ops.jobs.merge_checks import check_merges
from mergeit_ops.jobs.merge_judge import MergeJudge
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.similarity_scale import translated_threshold, with_model_of_vectors
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.following_gates import following_gates, judge_of
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.parameters import declare, set_to
from mergeit_ops.ops.quality_gate_filter import QualityGateFilter
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
)

if TYPE_CHECKING:
    from mergeit_ops.jobs.foresight import GroupsOfTopics
    from mergeit_ops.jobs.llm_merging import LLMMerging
    from mergeit_ops.llm.engine import LLMEngine

OP_NAME = "llm_pair_merger_mapper"

MERGE_STRATEGIES = (*CONVERSATIONS, "concat", "none")


@OPERATORS.register_module(OP_NAME)
class LLMPairMergerMapper(LLMOperator, EmbeddingOperator, Mapper):
    """Merge similar samples of each topic into one richer sample, and flatten the topics.

    Pairs samples whose cosine exceeds a threshold, and has an LLM merge each pair (MergeIT, stage 2). A merged row
    holds its complete parents in `__dj__meta__`, so `quality_gate_filter` can restore them. A pair whose merge fails
    stays as it was, with the reason. Answers are kept in a journal on disk: a second run of the same recipe pays only
    for what is missing. One process does the work, whatever `np` is, because the requests of one process are
    concurrent. On Ray, each block of topics has its own stage."""

    _batched_op = True
    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition, each with its own token budget.
    is_global_operation = True
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        **LLM_CONSTRAINTS,
        "similarity_threshold": Number(low=-1, high=1),
        "similarity_threshold_scale": OneOf(("minilm", "raw")),
        "pairing": OneOf(PAIRINGS),
        "pairing_seed": Number(low=0, high=2**32 - 1, integer=True),
        "max_group_size": Number(low=2, integer=True),
        "merge_ratio": Number(low=0, high=1, low_open=True, optional=True),
        "merge_strategy": OneOf(MERGE_STRATEGIES),
        "pair_within": NAMES,
        "pair_across_languages": FLAG,
        "system_prompt": OPTIONAL_TEXT,
        "prompt_style": OneOf(PROMPT_STYLES),
        "max_answer_ratio": Number(low=1, optional=True),
        "num_candidates": Number(low=1, integer=True),
        "min_parent_kept": Number(low=0, high=1, optional=True),
        "refuse_added_demands": FLAG,
        "min_acceptance": Number(low=0, high=1, optional=True),
        "dry_run": FLAG,
        "keep_embeddings": FLAG,
        "derived_columns": MAPPING,
    }
    beside_static = "finds"
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
        min_acceptance: Optional[float] = None,
        similarity_threshold: float = 0.55,
        similarity_threshold_scale: str = "minilm",
        pairing: str = "best_first",
        pairing_seed: int = 42,
        max_group_size: int = 2,
        merge_ratio: Optional[float] = None,
        merge_strategy: str = "llm",
        pair_within: Optional[list[str]] = None,
        pair_across_languages: bool = False,
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
        :param max_answer_ratio: most tokens of an answer, as a multiple (at least 1) of its expected tokens: those of
            its parents or, with the strategy `instruction`, of their instructions. A small model that does not stop is
            cut off there. Its answer counts as `truncated`, and the next answer may be twice as long. null: only
            `max_tokens` in `sampling_params` limits an answer.
        :param num_candidates: answers per group, requested together. The gate keeps the best one that passes; without a
            gate, the first one is kept. The cost grows by the same factor.
        :param min_parent_kept: share of each parent's words, in [0, 1], that a merge must contain; instruction, input
            and answer each must reach it. If a merge contains less, the model is told what is missing and asked again,
            up to `try_num` times. After that the rows stay as they were, with the reason `parent_lost`. null: not
            checked.
        :param refuse_added_demands: whether the model is asked again, in the same way, if the instruction of a merge
            sets a limit that no parent has or copies a phrase from the prompt. The reason is then `added_demand`.
        :param min_acceptance: a pair is merged only if the probability, in [0, 1], that its merge is accepted is at
            least this high. First a tenth of the pairs, at least 40, is merged and judged by the scorer and the rule of
            the following gate; without a gate, every merge counts as accepted. A logistic regression then predicts the
            other pairs from their similarity, lengths, shared words and known quality scores. Pairs below the limit are
            left out with the reason `unlikely`. The others are asked about in the order in which `max_total_tokens`
            buys the most accepted merges. 0 only sets this order. null: every pair is merged, in the order of the rows.
            The gate's scorer must not ask a language model.
        :param similarity_threshold: cosine in [-1, 1] that a pair must exceed; 0.55 as in the released code.
        :param similarity_threshold_scale: `minilm`: the threshold is a cosine of the default embedding model. If the
            vectors come from another model, the threshold is translated to an equally strict cosine: one that the same
            share of the pairs of a reference sample exceeds. If your rows have at least 2,000 different texts, they are
            the reference sample. The result is stored in the cache folder for later runs. `raw`: the threshold is a
            cosine of the given vectors. Vectors that the rows bring are treated as `raw`, with a warning, unless
            `embedding_model` names their model.
        :param pairing: `best_first`: the most similar pair first. `first_come`: rows in order, each with its first free
            neighbour, as in the released code. `random`: any two rows of a topic, whatever their similarity. This is
            the paper's control, which shows what similarity contributes.
        :param pairing_seed: seed of the pairing `random`.
        :param max_group_size: most rows merged into one; in a larger group than a pair, every two rows exceed the
            threshold.
        :param merge_ratio: share in (0, 1] of a topic's rows that should be merged. `best_first` takes the best pairs
            until this share is reached; `random` takes the number of pairs that comes nearest to it. null: every pair
            found. Not for `first_come`.
        :param merge_strategy: `llm`: the model writes the whole merged row. `instruction`: it writes only the merged
            instruction; the inputs and outputs of the parents are put one below the other, labelled with letters if
            there are several inputs. Such a row asks for two things, and its output holds both answers: no answer can
            be lost, less than half of the tokens are spent, and a model of 0.5B parameters can do it. `concat`:
            instructions are joined with "and"; this is the paper's baseline and needs no LLM. `none`: topics are only
            flattened.
        :param pair_within: columns, such as language or licence, or keys inside a column, such as `meta.language`, in
            which rows must agree to be merged; null: none. Rows must always agree in their system prompts and the
            arguments of the chat template.
        :param pair_across_languages: whether rows in different languages may be merged. The language of a row is the
            stat `lang` of Data-Juicer's `language_id_score_filter`, if there is one. Otherwise it is what py3langid
            finds in the instruction and the input, or, if these are too short, in them and the output. If no language
            is found, the row counts as one in the most common language of its topic.
        :param dry_run: make no call; report the pairs, the calls, the estimated tokens and, if prices are given, the
            cost, and pass the samples on as they are. The run exports them next to the `export_path`, to a
            file with `.dry_run` in its name.
        :param keep_embeddings: whether rows keep the column `mergeit_embedding`.
        :param derived_columns: text columns to fill on merged rows, each with a template that names other columns:
            `{text: "{query}\\n{response}"}`. Other columns keep a value that all parents share, and are null otherwise.
            For conversations `{instruction}`, `{input}`, `{output}` and `{system}` name the parts of the merged sample.
            A null value becomes an empty text. Double a brace that belongs to the text.
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(**kwargs)
        if merge_ratio is not None and pairing == "first_come":
            raise RecipeError(
                f"{self._name}: merge_ratio works with pairing 'best_first' and 'random' only, got pairing "
                f"{pairing!r}; {set_to(self, 'merge_ratio', None)}, or take another pairing."
            )
        if min_acceptance is not None and merge_strategy not in CONVERSATIONS:
            raise RecipeError(
                f"{self._name}: min_acceptance leaves out pairs that a language model would be paid for, and "
                f"merge_strategy {merge_strategy!r} asks none; {set_to(self, 'min_acceptance', None)}, or set "
                f"merge_strategy to {' or '.join(map(repr, CONVERSATIONS))}."
            )
        self.api_or_hf_model: str = self.parameters["api_or_hf_model"]
        self.system_prompt = system_prompt
        self.num_candidates = int(num_candidates)
        self.min_acceptance = min_acceptance
        self.checks = MergeChecks(min_parent_kept, refuse_added_demands)
        self.similarity_threshold = float(similarity_threshold)
        self._raw = similarity_threshold_scale == "raw"
        self.pairing: Pairing = pairing  # type: ignore[assignment]
        self.pairing_seed = int(pairing_seed)
        self.max_group_size = int(max_group_size)
        self.merge_ratio = merge_ratio
        self.merge_strategy = merge_strategy
        self.pair_within = list(pair_within or ())
        self.pair_across_languages = pair_across_languages
        self.dry_run = dry_run
        self.keep_embeddings = keep_embeddings
        try:
            self.derived = DerivedColumns.parse(derived_columns)
        except ValueError as error:
            raise RecipeError(f"{self._name}: derived_columns {error}.") from error
        self._engine: LLMEngine | None = None
        self._conversation = CONVERSATIONS.get(merge_strategy, {}).get(prompt_style)
        self._max_answer_ratio = max_answer_ratio
        if self._conversation is not None:
            self._engine = self.new_engine(check=not dry_run)

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Merge the samples of topics and flatten them.

        :param dataset: topics.
        :param exporter: not used.
        :param tracer: not used, because the lineage in `__dj__meta__` holds every merge with its parents.
        :return: flat samples, by topic and in the order of the input; a merged sample takes the place of its first
            parent.
        :raises DatasetError: if the rows are not topics, or a column is missing.
        :raises LLMError: if the LLM stage had to stop.
        """
        with self.stopping_once(dataset), self.recorded() as manifest:
            rows = self.rows_of(dataset, same_types=False)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self._check_foresight(is_ray_dataset(dataset))
            if not rows.grouped:
                raise DatasetError(
                    f"{self._name}: the rows are flat samples, but this operator merges within topics; put "
                    "topic_cluster_grouper before it. No call was made."
                )
            types = flat_types(rows.types)
            job = self._job(*self._scaled(rows, types, manifest))
            found = recipe_and_place(self)
            at_risk = {} if found is None else columns_at_risk(*found, list(types), job.reader.layout)
            groups: GroupsOfTopics | None = check_merges(rows, job, types, at_risk)
            if self.min_acceptance is not None and not self.dry_run:
                from mergeit_ops.jobs.foresight import Foresight

                groups = Foresight(job, self.min_acceptance).foresee(rows, manifest)
            flat = rows.merged(job, manifest, groups)
            manifest.figures["rows_out"] = len(flat)
            manifest.figures |= planned_price(job, manifest.figures)
            advise(job, manifest.figures)
        log_summary(self.work_dir)
        self.tell_plan(manifest.figures)
        return flat.dataset

    @property
    def compares_vectors(self) -> bool:
        """See `EmbeddingOperator`."""
        return True

    def check_place(self, recipe: Recipe, place: int) -> None:
        """See `SampleOperator`."""
        super().check_place(recipe, place)
        self._check_foresight(recipe.executor != "default")
        if self.min_acceptance is not None:
            self._gates(recipe, place)

    def _check_foresight(self, on_ray: bool) -> None:
        if on_ray and self.min_acceptance is not None and self._llm["max_total_tokens"] is not None:
            raise RecipeError(
                f"{self._name}: min_acceptance with max_total_tokens does not run on Ray, whose tasks cannot ask the "
                "best pairs of all first: run this recipe with executor_type: default, or remove one of the two. "
                "Answers of a run in the default executor are in the journal of the driver's machine, where a run on "
                "Ray finds them."
            )

    def _gates(self, recipe: Recipe | None, place: int | None) -> list[QualityGateFilter]:
        """Return the gates up to the next merger.

        :param recipe: the recipe; None: the operator is used without one.
        :param place: its position in it.
        :raises RecipeError: if `min_acceptance` needs the verdict of a gate that asks a language model.
        """
        gates = [] if recipe is None or place is None else following_gates(recipe, place)
        asking = [gate for gate in gates if gate.asks_a_model]
        if asking and self.min_acceptance is not None and not self.dry_run:
            raise RecipeError(
                f"{self._name}: min_acceptance judges merges while they are made, with the scorer of the gate, and "
                f"{asking[0]._name} has the scorer {asking[0].parameters['scorer']!r}, which asks a language model; "
                "give the gate a scorer that asks none, such as distilled, or remove min_acceptance."
            )
        return gates

    def _judge(self, layout: SampleFormat) -> MergeJudge | None:
        """Return a judge that decides as the gates will; None if it is not needed, or if the gates ask a language
        model."""
        if self._engine is None or (self.min_acceptance is None and not self.dry_run):
            return None
        gates = self._gates(*(recipe_and_place(self) or (None, None)))
        return None if any(gate.asks_a_model for gate in gates) else judge_of(gates, layout)

    def process(self, samples: Any) -> Any:
        """Merge a few topics, in Data-Juicer's form of a dict of lists."""
        return self.run(Dataset.from_dict(dict(samples))).to_dict()

    def _scaled(self, rows: Rows, types: Mapping[str, pa.DataType], manifest: Manifest) -> tuple[SampleReader, float]:
        """Return the reader of the samples, which also embeds them, and the threshold on the scale of their vectors."""
        reader = self.reader_of(types)
        known = with_model_of_vectors(rows, reader, types)
        compares = self.merge_strategy != "none" and self.pairing != "random"
        if self._raw or not compares:
            return known or reader, self.similarity_threshold
        if known is None:
            logger.warning(
                f"{self._name}: the rows bring vectors of an unknown model, so similarity_threshold "
                f"{self.similarity_threshold:g} is taken as a cosine of these vectors. If they are not from "
                f"{DEFAULT_EMBEDDING_MODEL}, name their model as embedding_model; if you have chosen the threshold for "
                "them, set similarity_threshold_scale: raw."
            )
            return reader, self.similarity_threshold
        scaled = translated_threshold(rows, known, self.similarity_threshold)
        manifest.details |= scaled.details
        return known, scaled.value

    def _job(self, reader: SampleReader, threshold: float) -> MergeJob:
        pairing = PairingJob(
            reader,
            threshold=threshold,
            order=self.pairing,
            seed=self.pairing_seed,
            max_group_size=self.max_group_size,
            ratio=self.merge_ratio,
            within=tuple(self.pair_within),
            across_languages=self.pair_across_languages,
        )
        return MergeJob(
            reader,
            pairing,
            llm=self._llm_merging(),
            derived=self.derived,
            keep_embeddings=self.keep_embeddings,
            dry_run=self.dry_run,
            flattens_only=self.merge_strategy == "none",
            judge=self._judge(reader.layout),
        )

    def _llm_merging(self) -> LLMMerging | None:
        if self._engine is None or self._conversation is None:
            return None
        from mergeit_ops.jobs.llm_merging import LLMMerging

        return LLMMerging(
            self._engine,
            model=self.api_or_hf_model,
            conversation=self._conversation,
            checks=self.checks,
            system_prompt=self.system_prompt,
            num_candidates=self.num_candidates,
            max_answer_ratio=self._max_answer_ratio,
            may_use_gpu=self.may_use_gpu,
        )
