"""Engines that are refused before anything is opened."""

from __future__ import annotations

from typing import Any

from mergeit_ops.errors import MergeItError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings

SECRET = "hun-ter2"


ELSEWHERE = "https://llm.example/v1"


HERE = "http://127.0.0.1:8000/v1"


def refusal(model_params: dict[str, Any] | None = None, **parameters: Any) -> str:
    """Build an engine and check it; return the sentence it is refused with, an empty one when it is not."""
    refused: MergeItError | None = None
    try:
        build_engine(LLMSettings(model_params=model_params, **parameters)).check()
    except MergeItError as error:
        refused = error
    if refused is None:
        return ""
    text = str(refused)
    assert "\n" not in text
    assert text.endswith(".")
    assert SECRET not in text
    # A traceback must not show what the sentence leaves out.
    assert refused.__cause__ is None
    return text
