"""Rows of every layout, and how they are read."""

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample

MERGED = Sample("Do both.", "the text", "Done.", system="Be brief.")


ROWS = {
    "alpaca": {
        "instruction": "Sum up.",
        "input": "A text.",
        "output": "Short.",
        "category": "x",
        "system": "S",
        "history": [],
    },
    "query_response": {
        "system": "S",
        "instruction": "Sum up.",
        "query": "A text.",
        "response": "Short.",
        "history": [],
    },
    "messages": {
        "messages": [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "Sum up."},
            {"role": "assistant", "content": "Short."},
        ]
    },
    "sharegpt": {"conversations": [{"from": "human", "value": "Sum up."}, {"from": "gpt", "value": "Short."}]},
    "prompt_completion": {"prompt": "Sum up.", "completion": "Short."},
}


def turns(*said, role="role", text="content"):
    return [{role: who, text: what} for who, what in said]


def read(name, row):
    return resolve_format(name, list(row)).read(row)


PARTS = [{"type": "text", "text": "Why"}, {"type": "text", "text": "not?"}]


CHAT = [{"role": "user", "content": "Wieso – “so”?"}, {"role": "assistant", "content": "Darum."}]
