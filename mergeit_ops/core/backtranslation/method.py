"""A way to make a sample from a text: the question to a model, and the reading of its reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.sample import Sample

__all__ = ["BacktranslationMethod"]


class BacktranslationMethod(Protocol):
    """Makes a sample from a text with one question. It holds only plain data, because it is sent to workers of a
    cluster."""

    name: ClassVar[str]
    """The method's name in recipes."""

    schema: ClassVar[Mapping[str, Any] | None]
    """JSON schema of the reply; None if the reply is not JSON."""

    def messages(self, text: str) -> tuple[Message, ...]:
        """Return the conversation that asks about a text.

        :param text: the text.
        """
        ...

    def read(self, reply: str, text: str) -> Sample:
        """Return the sample from a reply about a text.

        :param reply: the whole reply.
        :param text: the text that was asked about.
        :raises ReplyError: if it cannot be used. No other exception is raised for any reply.
        """
        ...

    def completion_tokens(self, text: str) -> int:
        """Return the expected tokens of a reply.

        :param text: the text that is asked about.
        """
        ...
