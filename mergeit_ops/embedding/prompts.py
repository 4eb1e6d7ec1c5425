"""Prompts that some models need before each text, although their saved configuration does not contain them."""

from __future__ import annotations

import re
from pathlib import PurePath

__all__ = ["prompt_of"]

_PROMPTS = {
    # The authors recommend "query: " for symmetric tasks such as similarity and clustering. The instruct models need a
    # task.
    re.compile(r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?"): "query: ",
}


def prompt_of(model: str) -> str | None:
    """Return the prompt before each text of a model; None if none is known.

    :param model: name on the Hugging Face Hub, or the path of a local folder that has the model's name.
    """
    name = PurePath(model).name.lower()
    return next((prompt for pattern, prompt in _PROMPTS.items() if pattern.fullmatch(name)), None)
