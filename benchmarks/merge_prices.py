"""The price of an accepted merge with each prompt, for several prices of cached tokens.

    python benchmarks/merge_prices.py [--completion 4]

Uses the measurements of `merge_strategies.py` on 100 pairs. The common prefix is the number of tokens at the start of a
prompt that are the same in every request, by the tokenizer of the same model. The unit of the prices is 1,000 uncached
prompt tokens. Every request is assumed to find its prefix in the cache if the server caches prefixes of this length.
The number of correction requests was not recorded, so only first requests count as cached. So prices with checks are
upper bounds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from common import table


@dataclass(frozen=True)
class Measured:
    """The tokens of a strategy for each merge that passes the gate.

    :param prefix: common tokens at the start of every prompt.
    :param passing: number of merges of 100 pairs that pass.
    :param prompt: prompt tokens.
    :param answer: answer tokens.
    """

    prefix: int
    passing: int
    prompt: int
    answer: int

    def price(self, cached: float | None, least: int, completion: float) -> float:
        """Return the price of a merge that passes.

        :param cached: price of a cached token, as a share of that of an uncached one; None: no cache.
        :param least: minimum tokens of a prefix that the server caches.
        :param completion: price of an answer token, as a multiple of that of a prompt token.
        """
        found = 0.0 if cached is None or self.prefix < least else self.prefix * 100 / self.passing
        return (self.prompt - found * (1 - (cached or 0.0)) + completion * self.answer) / 1000


MEASURED = {
    "`instruction`, worked": Measured(384, 100, 437, 35),
    "`instruction`, worked, checked": Measured(384, 99, 446, 36),
    "`instruction`, short": Measured(115, 99, 172, 40),
    "`instruction`, short, checked": Measured(115, 90, 237, 49),
    "`llm`, worked": Measured(797, 99, 966, 121),
    "`llm`, worked, checked": Measured(797, 75, 1971, 214),
}
"""Measured with Qwen2.5-Coder-1.5B-Instruct at 4 bits on pairs of short Alpaca and Dolly rows; see docs/merging.md."""

SERVERS: dict[str, tuple[float | None, int]] = {
    "no cache": (None, 0),
    "from 1,024 tokens, at half the price": (0.5, 1024),
    "any prefix, at a quarter": (0.25, 64),
    "any prefix, at a tenth": (0.1, 64),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--completion", type=float, default=4.0, help="price of an answer token, in prompt tokens")
    completion = parser.parse_args().completion
    rows = [
        [name, *(f"{one.price(*server, completion):.2f}" for server in SERVERS.values())]
        for name, one in MEASURED.items()
    ]
    print(table(["strategy and prompt", *SERVERS], rows))


if __name__ == "__main__":
    main()
