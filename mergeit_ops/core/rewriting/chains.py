"""A rewriting of one row: questions to a model, one after the other, each made of the answers before it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.sample import Sample

__all__ = ["Chain", "ChainCall", "RewriteMethod"]


@dataclass(frozen=True)
class ChainCall:
    """What a model is asked in one call.

    :param messages: chat turns.
    :param parse: makes an answer of the model's text, or raises `ReplyError`; the same text must give the same answer.
    :param expected: an answer about as long as the model's will be. A dry run goes on with it, because it has no other.
    :param completion_tokens: tokens that the model's text is expected to have.
    :param schema: JSON schema of the text; None for any text.
    """

    messages: tuple[Message, ...]
    parse: Callable[[str], Any]
    expected: Any
    completion_tokens: int
    schema: Mapping[str, Any] | None = None


Chain = Generator[ChainCall, Any, Sample]
"""Yields questions, is sent the answer to each, and returns the new row.

If a question has no answer, the chain is dropped and the row stays as it was. A row that comes out as it went in stays
as it was too."""


class RewriteMethod(Protocol):
    """A way to rewrite rows. It holds plain data, because it is sent to the workers of a cluster."""

    name: ClassVar[str]
    """Its name in recipes."""

    @property
    def nodes_added(self) -> int:
        """Return how many nodes it adds to the tree of an instruction; 0 if it does not count them."""
        ...

    def problem(self, sample: Sample) -> str | None:
        """Return why a row cannot be rewritten, as far as that is known before any call; None if it may be.

        :param sample: a row with an instruction and a response.
        """
        ...

    def chain(self, sample: Sample) -> Chain:
        """Return the questions that rewrite a row.

        :param sample: a row without a problem.
        """
        ...
