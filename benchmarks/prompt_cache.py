"""The time that a server saves on prompts whose beginning is in its cache.

    python benchmarks/prompt_cache.py rows.jsonl --model NAME --base-url http://localhost:8080/v1 [--pairs 8]

Sends the merger's prompts for pairs of rows to a server, one at a time, and asks for one token each, so that reading
the prompt is nearly all of the work. Two variants take turns: the original prompts, which all have the same beginning,
and the same prompts with a different first word in each, which no cache can have. Prints the seconds and the tokens
from the cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median
from typing import Any

from common import read_rows
from openai import OpenAI

from mergeit_ops.core.merging.prompts import PROMPT_STYLES, build_messages
from mergeit_ops.core.sample import Sample


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="JSON Lines: instruction, input, output")
    parser.add_argument("--model", required=True, help="name of the model on the server")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--pairs", type=int, default=8)
    options = parser.parse_args()
    samples = [
        Sample(row["instruction"], row.get("input") or "", row["output"])
        for row in read_rows(options.rows)[: 2 * options.pairs]
    ]
    pairs = [samples[at : at + 2] for at in range(0, 2 * options.pairs, 2)]
    client = OpenAI(base_url=options.base_url, api_key="none", timeout=1200)
    print("| prompt | tokens | seconds, cached | tokens from the cache | seconds, not cached | ratio, pair by pair |")
    print("|---|---|---|---|---|---|")
    for style in PROMPT_STYLES:
        prompts = [build_messages(pair, style=style) for pair in pairs]
        ask(client, options.model, prompts[0])  # puts the beginning into the cache
        found = []
        for number, prompt in enumerate(prompts[1:]):
            first = {"role": prompt[0]["role"], "content": f"{number} {prompt[0]['content']}"}
            # The changed prompt comes first, because its tokens in the cache do not help the other one.
            found.append((ask(client, options.model, [first, *prompt[1:]]), ask(client, options.model, prompt)))
        other, same = ([way[at] for way in found] for at in (0, 1))
        ratios = sorted(one[0] / two[0] for one, two in found)
        print(
            f"| `{style}` | {median(one[1] for one in same):.0f} | {median(one[0] for one in same):.2f} "
            f"| {median(one[2] for one in same):.0f} | {median(one[0] for one in other):.2f} "
            f"| {median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |"
        )


def ask(client: OpenAI, model: str, messages: Any) -> tuple[float, int, int]:
    """Return seconds, prompt tokens, and prompt tokens from the cache."""
    start = time.perf_counter()
    answer = client.chat.completions.create(model=model, messages=messages, max_tokens=1, temperature=0)
    seconds = time.perf_counter() - start
    usage = answer.usage
    assert usage is not None
    details = usage.prompt_tokens_details
    return seconds, usage.prompt_tokens, (details.cached_tokens if details else None) or 0


if __name__ == "__main__":
    main()
