"""What a section of the page is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Section"]


@dataclass(frozen=True)
class Section:
    """A section of the page. Its template and its script have the name of the module that builds it.

    :param title: its heading.
    :param link: its name in the list of contents.
    :param values: what the names in its template stand for.
    :param data: for its script; what JSON can hold. None: it has no script.
    """

    title: str
    link: str
    values: Mapping[str, Any]
    data: Any = None
