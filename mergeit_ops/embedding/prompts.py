"""What some models want before each text, although their saved configuration does not say so."""

from __future__ import annotations

import re
from pathlib import PurePath

__all__ = ["prompt_of"]

_PROMPTS = {
    # Their authors: "query: " for symmetric tasks such as similarity and clustering. The instruct ones want a task.
    re.compile(r"(multilingual-)?e5-(small|base|large)(-v2|-unsupervised)?"): "query: ",
}


def prompt_of(model: str) -> str | None:
    """Return what goes before each text that a model embeds; None: nothing is known of it.

    :param model: name on the Hugging Face Hub, or the path of a local folder that has the model's name.
    """
    name = PurePath(model).name.lower()
    return next((prompt for pattern, prompt in _PROMPTS.items() if pattern.fullmatch(name)), None)
