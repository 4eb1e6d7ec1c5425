"""What an accepted merge costs with each prompt, by what a server charges for tokens that it has in its cache.

    python benchmarks/merge_prices.py [--completion 4]

Takes what `merge_strategies.py` has measured on 100 pairs, and the tokens at the start of a prompt that are the same in
every request, by the tokenizer of the same model. Prints prices in the unit of 1,000 prompt tokens that no cache holds.
Every request is taken to find its prefix in the cache if the server caches prefixes as short as it. The number of
further questions was not recorded, so only first questions count as cached: prices with checks are at most these.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

from common import table


@dataclass(frozen=True)
class Measured:
    """What a strategy took, for each merge that passes the gate.

    :param prefix: tokens at the start of every prompt.
    :param passing: merges that pass, of 100 pairs.
    :param prompt: tokens sent.
    :param answer: tokens received.
    """

    prefix: int
    passing: int
    prompt: int
    answer: int

    def price(self, cached: float | None, least: int, completion: float) -> float:
        """Return the price of a merge that passes.

        :param cached: price of a cached token, as a share; None: no cache.
        :param least: tokens of the shortest prefix that the server caches.
        :param completion: price of a token of an answer, as a multiple of one of a prompt.
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
"""Qwen2.5-Coder-1.5B-Instruct of 4 bits, pairs of short Alpaca and Dolly rows; see docs/merging.md."""

SERVERS: dict[str, tuple[float | None, int]] = {
    "no cache": (None, 0),
    "from 1,024 tokens, at half the price": (0.5, 1024),
    "any prefix, at a quarter": (0.25, 64),
    "any prefix, at a tenth": (0.1, 64),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--completion", type=float, default=4.0, help="price of an answer's token in prompt tokens")
    completion = parser.parse_args().completion
    rows = [
        [name, *(f"{one.price(*server, completion):.2f}" for server in SERVERS.values())]
        for name, one in MEASURED.items()
    ]
    print(table(["strategy and prompt", *SERVERS], rows))


if __name__ == "__main__":
    main()
