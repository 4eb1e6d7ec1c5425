"""Have a language model rewrite instructions: harder, broader, or revised."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any, Optional

from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset
from loguru import logger

from mergeit_ops.constraints import FLAG, MAPPING, Number, OneOf
from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rewriting.chains import RewriteMethod
from mergeit_ops.core.rewriting.methods import REWRITINGS
from mergeit_ops.core.rewriting.tree import NODES_PER_CALL
from mergeit_ops.core.text.characters import printable
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.dataset.recipe import recipe_and_place
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.rewriting import RewriteJob, rewrite_rows
from mergeit_ops.llm.settings import LLM_CONSTRAINTS
from mergeit_ops.ops.dataset_mapper import Mapper
from mergeit_ops.ops.llm_operator import LLMOperator
from mergeit_ops.ops.parameters import declare, set_to
from mergeit_ops.ops.sample_operator import SAMPLE_CONSTRAINTS

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

OP_NAME = "instruction_rewrite_mapper"

_OF_MERGES = ("merger", "gate")

# Parameters that only some methods read, and the values that stand for "not set".
_OF_METHODS = {"add_nodes": NODES_PER_CALL, "regenerate_response": True}


@OPERATORS.register_module(OP_NAME)
class InstructionRewriteMapper(LLMOperator, Mapper):
    """Have a language model rewrite each sample: harder, broader, or revised. The original stays in `__dj__meta__`.

    `tree` adds nodes to the tree of an instruction's meaning, three in each call (Tree-Instruct, arXiv 2308.05696).
    `deepen` makes a request harder, and `broaden` writes another request in the same field (LIFT, arXiv 2312.11508).
    `revise` corrects instruction and response in one call (after CoachLM, arXiv 2311.13246). The prompts are our own.
    The first three methods make a last call for a new response. In it the model sees only the new instruction, the
    input and the sample's system prompt. Only `broaden` changes the input.

    Each reply is checked without a model: for the number of words (`tree`: at least 12 more in each call, and at most
    100, as in the paper), the language, new web addresses, and words about the procedure. In scripts without spaces,
    two characters count as a word. If a reply breaks a rule, the model is told what is wrong and asked again, up to
    `try_num` times in all. After that the sample stays as it was.

    A rewritten sample has `rewrite_status` `rewritten` in `__dj__meta__`, the whole original sample in `rewrite_parent`
    and its id in `rewrite_parent_id`. Other samples have `rewrite_status` `original` and the reason in `rewrite_error`:
    the reason of a failed call, `too_many_words` if no instruction can keep the limits of `tree`, `unchanged` if the
    model returned the sample as it was, or the reason why the sample cannot be rewritten: `bad_row` (no instruction or
    no response), `multi_turn`, `more_than_text` or `reasoning`. The merger does not merge these samples either. Other
    columns stay, except stats, embeddings and hashes, which describe the old texts.

    Replies are kept in a journal on disk, like those of the merger: a second run of the same recipe pays only for what
    is missing. `dry_run` tells you the price first, and `max_total_tokens` limits it. A local model writes at most
    1,024 tokens of a response, unless `sampling_params` sets `max_tokens`."""

    # Otherwise Data-Juicer's partitioned Ray executor would run it on each partition separately.
    is_global_operation = True
    changes_rows = True
    kind = "rewriter"
    step = "Rewritten"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **LLM_CONSTRAINTS,
        "method": OneOf(REWRITINGS),
        "add_nodes": Number(low=NODES_PER_CALL, integer=True),
        "regenerate_response": FLAG,
        "dry_run": FLAG,
        "derived_columns": MAPPING,
    }

    def __init__(
        self,
        method: str = "tree",
        add_nodes: int = NODES_PER_CALL,
        regenerate_response: bool = True,
        dry_run: bool = False,
        derived_columns: Optional[dict[str, str]] = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param method: `tree`, `deepen`, `broaden` or `revise`.
        :param add_nodes: nodes that `tree` adds to an instruction, a multiple of 3. Each call adds three to the result
            of the call before. An instruction has at most 100 words, so hardly any row has room for 24 nodes.
        :param regenerate_response: whether `tree`, `deepen` and `broaden` ask for a new response, which takes one more
            call. If not, the response is empty, because the old one answers another instruction. Later operators count
            such a sample as unreadable. Set it to false only in a recipe that ends here, if the responses are written
            elsewhere.
        :param dry_run: make no call; report the calls, the estimated tokens and, if prices are given, the cost. The
            samples are passed on as they are, and the run exports them next to the `export_path`, to a file with
            `.dry_run` in its name. A new response is expected to be as long as the old one.
        :param derived_columns: text columns to fill anew on rewritten rows, each with a template that names other
            columns, as in the merger: `{text: "{instruction}\\n{output}"}`. Other columns stay as they are, even if
            they hold the old texts.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.dry_run = dry_run
        self.method = self._method()
        try:
            self.derived = DerivedColumns.parse(derived_columns)
        except ValueError as error:
            raise RecipeError(f"{self._name}: derived_columns {error}.") from error
        self._engine: LLMEngine = self.new_engine(check=not dry_run)

    def _method(self) -> RewriteMethod:
        made = REWRITINGS[self.parameters["method"]]
        known = {field.name for field in fields(made)}  # type: ignore[arg-type]
        idle = [name for name, usual in _OF_METHODS.items() if name not in known and self.parameters[name] != usual]
        if idle:
            having = [name for name, other in REWRITINGS.items() if idle[0] in {field.name for field in fields(other)}]  # type: ignore[arg-type]
            raise RecipeError(
                f"{self._name}: {idle[0]} works with method {', '.join(map(repr, having))} only, got method "
                f"{made.name!r}; {set_to(self, idle[0], _OF_METHODS[idle[0]])}, or take another method."
            )
        nodes = int(self.parameters["add_nodes"])
        if nodes % NODES_PER_CALL:
            raise RecipeError(f"{self._name}: add_nodes must be a multiple of {NODES_PER_CALL}, got {nodes}.")
        given = {"add_nodes": nodes, "regenerate_response": self.parameters["regenerate_response"]}
        return made(**{name: value for name, value in given.items() if name in known})

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None) -> Dataset:
        """Rewrite a flat dataset.

        :param dataset: flat samples.
        :param exporter: not used.
        :param tracer: not used: `__dj__meta__` holds every sample as it was.
        :return: the same number of samples, in the same order.
        :raises DatasetError: if a column is missing, the rows are topics, or most rows cannot be read.
        :raises RecipeError: if the operator stands between a merger and its gate.
        :raises LLMError: if the language model had to stop, or cannot be loaded.
        """
        with self.stopping_once(dataset), self.recorded() as manifest:
            rows = self.rows_of(dataset)
            if is_ray_dataset(dataset) and not len(rows):
                manifest.figures |= {"rows_in": 0, "rows_out": 0}
                return rows.dataset
            self.check_flat(rows.grouped, "put this operator before the grouper or behind the gate")
            self._check_place()
            job = RewriteJob(
                self.reader_of(rows.columns),
                self._engine,
                self.method,
                derived=self.derived,
                dry_run=self.dry_run,
                may_use_gpu=self.may_use_gpu,
            )
            if not self.dry_run:
                logger.info(
                    f"{self._name}: {many(len(rows), 'sample')} {agree(len(rows), 'goes', 'go')} to "
                    f"{printable(self._engine.model)}."
                )
            rewritten = rewrite_rows(rows, job, manifest)
            if is_ray_dataset(dataset) and not self.dry_run:
                from mergeit_ops.distributed.new_columns import forget_column, note_column

                note_column(META)
                forget_column(STATS)
        self._tell(manifest.figures)
        log_summary(self.work_dir)
        self.tell_plan(manifest.figures)
        return rewritten.dataset

    def _check_place(self) -> None:
        """Check that the operator does not stand between a merger and its gate.

        :raises RecipeError: if it is.
        """
        found = recipe_and_place(self)
        if found is None:
            return
        recipe, place = found
        roles = recipe.roles()
        kinds = [roles.get(step.name, {}).get("kind") for step in recipe.steps]
        before = [kind for kind in kinds[:place] if kind in _OF_MERGES]
        behind = [kind for kind in kinds[place + 1 :] if kind in _OF_MERGES]
        if before[-1:] == ["merger"] and behind[:1] == ["gate"]:
            raise RecipeError(
                f"{self._name}: it stands between a merger and its gate, which compares merged rows with their "
                "parents; put it before the grouper or behind the gate. No call was made."
            )

    def _tell(self, figures: dict[str, Any]) -> None:
        if self.dry_run:
            return
        verb = agree(figures["rewritten"], "is", "are")
        logger.info(f"{self._name}: {figures['rewritten']:,} of {figures['rows_out']:,} samples {verb} rewritten.")
        reasons = {**figures["kept"], **figures["failed"]}
        if reasons:
            told = ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items()))
            logger.warning(f"{self._name}: samples that stay as they were, by reason: {told}.")
