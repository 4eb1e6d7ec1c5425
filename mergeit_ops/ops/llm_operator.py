"""Shared parameters of operators that ask an LLM."""

from __future__ import annotations

import atexit
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from loguru import logger

from mergeit_ops.dataset.dry_run import export_apart
from mergeit_ops.dataset.recipe import Recipe, recipe_and_place
from mergeit_ops.distributed import is_ray_dataset
from mergeit_ops.errors import LLMError, RecipeError
from mergeit_ops.jobs.plan_table import plan_table
from mergeit_ops.llm.settings import DEFAULT_SAMPLING_PARAMS, LLMSettings, takes_settings
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import SampleOperator

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine


class LLMOperator(SampleOperator):
    """Mixin before Data-Juicer's operator class: the parameters of an LLM, and the engine they describe."""

    @takes_settings()
    def __init__(self, *args: Any, llm: Mapping[str, Any], **kwargs: Any) -> None:
        """
        Initialization method.

        :param args: see `SampleOperator`.
        :param kwargs: see `SampleOperator`.
        """
        declare(self, llm)
        super().__init__(*args, **kwargs)
        self._llm = llm
        # The value in the recipe, not Data-Juicer's default of "cpu": without a value, a GPU is used if there is one.
        self._asked_accelerator = kwargs.get("accelerator")
        self.may_use_gpu = self._asked_accelerator != "cpu"
        self._stopped: LLMError | None = None

    def new_engine(
        self, check: bool, default_sampling_params: Mapping[str, Any] = DEFAULT_SAMPLING_PARAMS
    ) -> LLMEngine:
        """Return an engine for the parameters of the recipe.

        :param check: whether to check that requests can be sent.
        :param default_sampling_params: used if the recipe has none.
        :raises RecipeError: if a parameter cannot work.
        :raises LLMError: if the environment does not allow it to work.
        """
        from mergeit_ops.llm.engine import build_engine

        try:
            engine = build_engine(
                LLMSettings(**self._llm),
                accelerator=self._asked_accelerator,
                default_sampling_params=default_sampling_params,
            )
            if check:
                engine.check()
        except (RecipeError, LLMError) as error:
            raise type(error)(f"{self._name}: {error}") from None
        return engine

    @property
    def plans_only(self) -> bool:
        """Return whether the operator only counts the calls that it would make."""
        return bool(self.parameters.get("dry_run"))

    def check_place(self, recipe: Recipe, place: int) -> None:
        """See `SampleOperator`."""
        super().check_place(recipe, place)
        if self.plans_only:
            export_apart(recipe.config)

    def tell_plan(self, figures: Mapping[str, Any]) -> None:
        """Log what a run would take, if the operator has only counted it: in a recipe as the last words of its run.

        :param figures: of its record.
        """
        if not self.plans_only or "planned_calls" not in figures:
            return
        text = f"{self._name}: dry run, nothing was asked. A run would take about\n{plan_table(figures)}"
        if recipe_and_place(self) is None:
            logger.info(text)
        else:
            # Operators and the export come after this one, with many lines.
            atexit.register(_say, text)

    @contextmanager
    def stopping_once(self, dataset: Any) -> Iterator[None]:
        """If an error stopped the operator before, raise it again instead of asking a second time.

        If an operator with a `runtime_env` stops, Data-Juicer's Ray executor runs it once more without the
        `runtime_env`.

        :param dataset: the dataset that `run` received.
        :raises LLMError: if the operator stopped before.
        """
        if is_ray_dataset(dataset) and self._stopped is not None:
            raise self._stopped
        try:
            yield
        except LLMError as error:
            self._stopped = error
            raise


def _say(text: str) -> None:
    logger.info(text)
