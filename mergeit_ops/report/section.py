"""A section of the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Section"]


@dataclass(frozen=True)
class Section:
    """A section of the page. Its template and its script have the name of the module that builds it.

    :param title: heading of the section.
    :param link: name of the section in the list of contents.
    :param values: variables of its template.
    :param data: data of its script, in a form that JSON can hold; None: it has no script.
    """

    title: str
    link: str
    values: Mapping[str, Any]
    data: Any = None
