"""A way to make a sample of a text: what a model is asked, and how its reply is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.merging.prompts import Message
from mergeit_ops.core.sample import Sample

__all__ = ["BacktranslationMethod"]


class BacktranslationMethod(Protocol):
    """Makes a sample of a text with one question. It holds plain data, because it is sent to workers of a cluster."""

    name: ClassVar[str]
    """Its name in recipes."""

    schema: ClassVar[Mapping[str, Any] | None]
    """JSON schema of the reply; None for a text of another form."""

    def messages(self, text: str) -> tuple[Message, ...]:
        """Return the conversation that asks about a text.

        :param text: the text.
        """
        ...

    def read(self, reply: str, text: str) -> Sample:
        """Return the sample that a reply makes of a text.

        :param reply: the whole reply.
        :param text: the text that was asked about.
        :raises ReplyError: if it cannot be used. No other exception is raised, whatever the reply.
        """
        ...

    def completion_tokens(self, text: str) -> int:
        """Return how many tokens a reply is expected to have.

        :param text: the text that is asked about.
        """
        ...
