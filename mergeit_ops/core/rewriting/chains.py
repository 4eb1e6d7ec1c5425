"""The rewriting of one row: successive questions to a model, each made from the answers before."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.sample import Sample

__all__ = ["Chain", "ChainCall", "RewriteMethod"]


@dataclass(frozen=True)
class ChainCall:
    """The question of one call.

    :param messages: chat turns.
    :param parse: function that turns the model's text into an answer or raises `ReplyError`; the same text must give
        the same answer.
    :param expected: an answer about as long as the model's will be. A dry run continues with it, because it has no
        other answer.
    :param completion_tokens: expected tokens of the model's text.
    :param schema: JSON schema of the text; None for any text.
    """

    messages: tuple[Message, ...]
    parse: Callable[[str], Any]
    expected: Any
    completion_tokens: int
    schema: Mapping[str, Any] | None = None


Chain = Generator[ChainCall, Any, Sample]
"""A generator that yields questions, receives the answer to each, and returns the new row.

If a question has no answer, the chain is dropped and the row stays as it was. The same holds if the returned row equals
the original."""


class RewriteMethod(Protocol):
    """A way to rewrite rows. It holds only plain data, because it is sent to the workers of a cluster."""

    name: ClassVar[str]
    """The method's name in recipes."""

    @property
    def nodes_added(self) -> int:
        """Return the number of nodes that it adds to the tree of an instruction; 0 if it does not count nodes."""
        ...

    def problem(self, sample: Sample) -> str | None:
        """Return why a row cannot be rewritten, if this is known before any call; None otherwise.

        :param sample: a row with an instruction and a response.
        """
        ...

    def chain(self, sample: Sample) -> Chain:
        """Return the questions that rewrite a row.

        :param sample: a row without a problem.
        """
        ...
