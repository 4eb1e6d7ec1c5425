"""Shared parameters of operators that ask an LLM."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from mergeit_ops.errors import LLMError, RecipeError
from mergeit_ops.llm.settings import LLMSettings, takes_settings
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
        # What the recipe says, not Data-Juicer's default of "cpu": unset means a GPU where there is one.
        self._asked_accelerator = kwargs.get("accelerator")

    def new_engine(self, check: bool) -> LLMEngine:
        """Return an engine for the parameters of the recipe.

        :param check: whether to check that requests can be sent.
        :raises RecipeError: if a parameter cannot work.
        :raises LLMError: if the environment cannot.
        """
        from mergeit_ops.llm.engine import build_engine

        try:
            engine = build_engine(LLMSettings(**self._llm), accelerator=self._asked_accelerator)
            if check:
                engine.check()
        except (RecipeError, LLMError) as error:
            raise type(error)(f"{self._name}: {error}") from None
        return engine
