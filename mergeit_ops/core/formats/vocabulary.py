"""What the name of a column or of a turn's field says about its value."""

from __future__ import annotations

import re
from functools import lru_cache

_REASONING = frozenset(
    (
        "reasoning",
        "thinking",
        "think",
        "thought",
        "thoughts",
        "cot",
        "rationale",
        "rationales",
        "scratchpad",
        "monologue",
    )
)
_TOOLS = frozenset(("tool", "tools", "function", "functions", "api", "apis", "plugin", "plugins"))
_CALLS = frozenset(("call", "calls"))
_MEDIA = frozenset(("image", "images", "img", "picture", "pictures", "video", "videos", "audio", "audios"))
_DOCUMENTS = frozenset(("document", "documents"))


@lru_cache(maxsize=10_000)
def words_of(name: str) -> tuple[str, ...]:
    """Return the words of a name, in lower case: `generatedSolution` and `generated_solution` have the same two."""
    return tuple(re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()))


def speaks_of_reasoning(name: str) -> bool:
    """Return whether a name refers to reasoning, such as `deepseek_reasoning`, or to a switch for it."""
    return not _REASONING.isdisjoint(words_of(name)) or "chain_of_thought" in name.lower()


def speaks_of_tools(name: str) -> bool:
    """Return whether a name refers to tools, such as `available_tools`."""
    return not _TOOLS.isdisjoint(words_of(name))


def speaks_of_calls(name: str) -> bool:
    """Return whether a name refers to tool calls, such as `functionCall`."""
    return speaks_of_tools(name) and not _CALLS.isdisjoint(words_of(name))


def speaks_of_media(name: str) -> bool:
    """Return whether a name refers to images, audio or video, such as `image_path`."""
    return not _MEDIA.isdisjoint(words_of(name))


def speaks_of_documents(name: str) -> bool:
    """Return whether a name refers to documents that a template shows to the model."""
    return not _DOCUMENTS.isdisjoint(words_of(name))
