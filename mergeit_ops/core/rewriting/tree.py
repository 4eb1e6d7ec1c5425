"""Add nodes to the tree of an instruction's meaning (Tree-Instruct, arXiv 2308.05696)."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, ClassVar

from mergeit_ops.core.rewriting.chains import Chain, ChainCall
from mergeit_ops.core.rewriting.checks import WordLimits
from mergeit_ops.core.rewriting.instructions import DATA_RULE, instruction_question
from mergeit_ops.core.rewriting.responses import answered
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import count_words

__all__ = ["ADDED_WORDS", "MOST_WORDS", "NODES_PER_CALL", "TREE_SYSTEM_PROMPT", "Tree"]

NODES_PER_CALL = 3
ADDED_WORDS = 12
"""Words by which each call must make an instruction longer, as in the published prompt."""
MOST_WORDS = 100
"""Words that an instruction may have, as in the published prompt."""

_EXPECTED_WORDS = 20

TREE_SYSTEM_PROMPT = f"""\
You make requests to a language model more demanding. You are given one record: a request as `instruction`, with the \
material that it works on as `input` where there is any.

Think of the request as a tree: its main action is the root, and each noun or verb that says more about another one \
hangs below it. Hang three more nouns or verbs into this tree, no more and no fewer. Each goes below one that is \
there, or beside one, and brings a further aspect, a condition or a step that suits the request. Then say the whole \
tree again as one request that a person could have written.

- Keep all that the request asks, and the form in which it gives or wants data: tables, code, lists, formulas.
- Write in the language of the request.
- The `input` stays as it is. Do not copy it, and do not answer the request.
- Do not speak of the tree, of these rules or of an earlier request.
- Use no web address that is not in the record.

{DATA_RULE}

Answer with one JSON object and nothing else. It has exactly the key "instruction", a string."""


@dataclass(frozen=True)
class Tree:
    """Makes an instruction harder by adding nodes to its tree of meaning, three in each call, and asks for a new
    answer.

    It follows Tree-Instruct, with the same steps, word limits and rules. The wording of the prompt is our own, the
    reply is JSON, the row is sent as a record, and if a reply breaks a rule, the model is told what is wrong and asked
    again.

    :param add_nodes: a multiple of 3, at least 3; each call works on the result of the one before.
    :param regenerate_response: see `answered`.
    """

    name: ClassVar[str] = "tree"

    add_nodes: int = NODES_PER_CALL
    regenerate_response: bool = True

    @property
    def nodes_added(self) -> int:
        """See `RewriteMethod`."""
        return self.add_nodes

    @property
    def calls(self) -> int:
        """Return the number of calls that write the instruction."""
        return self.add_nodes // NODES_PER_CALL

    def problem(self, sample: Sample) -> str | None:
        """Return `too_many_words` if no instruction can keep both limits of words; see `RewriteMethod`."""
        room = count_words(sample.instruction) + self.calls * ADDED_WORDS
        return "too_many_words" if room > MOST_WORDS else None

    def chain(self, sample: Sample) -> Chain:
        """See `RewriteMethod`."""
        return answered(self._instructions(sample), sample, self.regenerate_response)

    def _instructions(self, sample: Sample) -> Generator[ChainCall, Any, Sample]:
        for left in reversed(range(self.calls)):
            least = count_words(sample.instruction) + ADDED_WORDS
            # Each later call needs room for its own words.
            limits = WordLimits(least, MOST_WORDS - left * ADDED_WORDS)
            sample = yield instruction_question(
                TREE_SYSTEM_PROMPT, sample, limits, added_words=min(_EXPECTED_WORDS, limits.most - least + ADDED_WORDS)
            )
        return sample
