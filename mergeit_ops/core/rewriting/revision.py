"""Revise instruction and response (after CoachLM, arXiv 2311.13246)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import ClassVar

from mergeit_ops.core.merging.refusals import refuses_to_help
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.rewriting.chains import Chain, ChainCall
from mergeit_ops.core.rewriting.checks import check_instruction_is_no_response, check_text
from mergeit_ops.core.rewriting.instructions import DATA_RULE, request_messages
from mergeit_ops.core.rewriting.replies import read_texts, schema_of
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.token_estimate import estimate_tokens

__all__ = ["REVISE_SYSTEM_PROMPT", "Revise"]

_NAMES = ("instruction", "output")

REVISE_SYSTEM_PROMPT = f"""\
You are an editor of instruction records that train language models. You are given one record: a request as \
`instruction`, the material that it works on as `input` where there is any, and a response as `output`. Where there is \
a `system`, the response obeys it. Give the record back in its best form.

- `instruction`: correct language and facts, say what is unclear, and leave out what makes it impossible to answer. \
It asks for the same thing as before.
- `output`: correct what is wrong, add what is missing, explain where that helps, and put it in a good order and tone. \
It answers the whole instruction and nothing else.
- The `input` stays as it is, and both texts have to fit it.
- Change nothing that is good already. If the whole record is, give it back word for word.
- Write in the language of the record. Copy code, formulas, names and numbers exactly unless they are wrong.
- Do not speak of these rules, of a revision or of an earlier text. Use no web address that is not in the record.

{DATA_RULE}

Answer with one JSON object and nothing else. It has exactly the keys "instruction" and "output", each a string. \
Inside a string each backslash is written twice."""


@dataclass(frozen=True)
class Revise:
    """Asks a model to revise instruction and response in one call.

    It follows CoachLM, which trains a model with 6B parameters on revisions by experts and runs it over every row. Here
    a prompt tells any model what to revise. If the model returns a record unchanged, the row stays as it was.
    """

    name: ClassVar[str] = "revise"

    @property
    def nodes_added(self) -> int:
        """See `RewriteMethod`."""
        return 0

    def problem(self, sample: Sample) -> str | None:
        """See `RewriteMethod`."""
        return None

    def chain(self, sample: Sample) -> Chain:
        """See `RewriteMethod`."""
        return (yield _question(sample))


def _question(old: Sample) -> ChainCall:
    messages = request_messages(
        REVISE_SYSTEM_PROMPT, "Revise this record.", old, ("system", "instruction", "input", "output")
    )
    written = json.dumps({name: getattr(old, name) for name in _NAMES}, ensure_ascii=False)
    return ChainCall(messages, lambda text: _read(text, old), old, estimate_tokens(written), schema_of(_NAMES))


def _read(text: str, old: Sample) -> Sample:
    instruction, output = read_texts(text, _NAMES, old)
    if not instruction or not output:
        raise ReplyError(FailureReason.EMPTY)
    if refuses_to_help(output) and not refuses_to_help(old.output):
        raise ReplyError(FailureReason.REFUSED)
    check_instruction_is_no_response(instruction, old)
    check_text(instruction, old, "instruction", REVISE_SYSTEM_PROMPT)
    check_text(output, old, "output", REVISE_SYSTEM_PROMPT)
    new = replace(old, instruction=instruction, output=output)
    # Whitespace at the ends is not a revision.
    same = (instruction, output) == (old.instruction.strip(), old.output.strip())
    return old if same else new
