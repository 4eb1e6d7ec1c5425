"""`export-sft`: write accepted merges as training rows for a smaller merger."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from mergeit_ops.cli.terminal import as_json, say
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.errors import DatasetError

if TYPE_CHECKING:
    from mergeit_ops.runs.merger_conversations import LeftOut, MergerConversation

NAME = "export-sft"
HELP = "Write the accepted merges of a finished run as training rows: each prompt of the merger with its answer."
EXAMPLE = ("export-sft outputs/quickstart/merged.jsonl --output outputs/sft",)

TRAIN, VALIDATION, DATASET_INFO = "train.jsonl", "validation.jsonl", "dataset_info.json"
FORMATS = ("messages", "prompt_completion")

_DATASETS = {"mergeit_merger": TRAIN, "mergeit_merger_validation": VALIDATION}
_DESCRIPTION: Mapping[str, Any] = {
    # LLaMA-Factory's format for lists of turns, with OpenAI's field names.
    "formatting": "sharegpt",
    "columns": {"messages": "messages"},
    "tags": {
        "role_tag": "role",
        "content_tag": "content",
        "user_tag": "user",
        "assistant_tag": "assistant",
        "system_tag": "system",
    },
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("export", type=Path, metavar="EXPORT", help="the exported file, or the folder that Ray wrote")
    parser.add_argument("--output", type=Path, default=Path("sft"), help="folder to write (default: sft)")
    parser.add_argument("--work-dir", type=Path, help="the run's work dir (default: search near the export)")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        default=FORMATS[0],
        help="messages: one conversation in each row, and a dataset_info.json, for LLaMA-Factory (the default); "
        "prompt_completion: for TRL, which then trains only on the answer",
    )
    parser.add_argument(
        "--validation",
        type=_share,
        default=0.1,
        metavar="SHARE",
        help="share of the rows to hold out, in whole topics; 0: none (default: 0.1)",
    )
    parser.add_argument("--seed", type=int, default=42, help="seed for choosing the held-out topics (default: 42)")
    parser.add_argument(
        "--min-ratio",
        type=float,
        metavar="R",
        help="write only merges with at least this merge_quality_ratio (default: all)",
    )
    parser.add_argument(
        "--any-prompt",
        action="store_true",
        help="also write merges that were made with another prompt, for example before an update; they get the current "
        "prompt",
    )


def run(options: argparse.Namespace) -> int:
    """Read the merges, split them by topic, write the files and print a summary."""
    from mergeit_ops.core.topics.splitting import held_out_topics
    from mergeit_ops.runs import read_run
    from mergeit_ops.runs.merger_conversations import LeftOut, merger_conversations

    _check_folder(options.output)
    finished = read_run(options.export, options.work_dir)

    def read() -> Iterable[MergerConversation | LeftOut]:
        return merger_conversations(finished, min_ratio=options.min_ratio, any_prompt=options.any_prompt)

    # The export is read twice, so that its conversations need not fit into memory.
    sizes: Counter[int] = Counter()
    left_out: Counter[LeftOut] = Counter()
    for found in read():
        if isinstance(found, LeftOut):
            left_out[found] += 1
        else:
            sizes[found.topic_id] += 1
    if not sizes:
        raise DatasetError(_nothing(options.export, left_out))
    try:
        held_out = held_out_topics(sizes, options.validation, options.seed)
    except ValueError as error:
        raise DatasetError(
            "No whole topic can be held out, because all merges have the same topic. Give --validation 0."
        ) from error
    try:
        written = _write(read(), held_out, options.output, options.format)
    except OSError as error:
        raise DatasetError(f"--output: the folder '{options.output}' cannot be written ({error}).") from error
    say("\n".join(_summary(written, left_out, options)))
    return 0


@dataclass
class _Written:
    """Figures of the written files.

    :param rows: number of rows in each file.
    :param topics: topics in each file.
    :param models: number of rows from each model.
    :param longest: estimated tokens of the longest row.
    :param unproved: number of rows whose prompt is not the one that was sent.
    :param system_prompt: system prompt of the last row.
    """

    rows: Counter[str] = field(default_factory=Counter)
    topics: dict[str, set[int]] = field(default_factory=lambda: {TRAIN: set(), VALIDATION: set()})
    models: Counter[str] = field(default_factory=Counter)
    longest: int = 0
    unproved: int = 0
    system_prompt: str = ""


def _write(
    conversations: Iterable[MergerConversation | LeftOut], held_out: frozenset[int], folder: Path, form: str
) -> _Written:
    from mergeit_ops.llm.usage import estimate_messages
    from mergeit_ops.runs.merger_conversations import LeftOut

    written = _Written()
    names = [TRAIN, VALIDATION] if held_out else [TRAIN]
    folder.mkdir(parents=True, exist_ok=True)
    if form == FORMATS[0]:
        described = {key: {"file_name": name, **_DESCRIPTION} for key, name in _DATASETS.items() if name in names}
        (folder / DATASET_INFO).write_text(json.dumps(described, indent=2) + "\n", encoding="utf-8")
    with ExitStack() as opened:
        files: dict[str, IO[str]] = {
            name: opened.enter_context((folder / name).open("w", encoding="utf-8")) for name in names
        }
        for found in conversations:
            if isinstance(found, LeftOut):
                continue
            name = VALIDATION if found.topic_id in held_out else TRAIN
            files[name].write(as_json(_row(found, form), files[name]) + "\n")
            written.rows[name] += 1
            written.topics[name].add(found.topic_id)
            written.models[found.model] += 1
            written.longest = max(written.longest, estimate_messages(found.messages))
            written.unproved += not found.proved
            written.system_prompt = found.prompt[0]["content"]
    return written


def _row(found: MergerConversation, form: str) -> dict[str, Any]:
    """Return a row. Trainers ignore its last two columns, which identify the merge in the export."""
    if form == FORMATS[0]:
        turns: dict[str, Any] = {"messages": found.messages}
    else:
        turns = {"prompt": found.prompt, "completion": found.messages[-1:]}
    return {**turns, "row_id": found.row_id, "topic_id": found.topic_id}


def _summary(written: _Written, left_out: Counter[LeftOut], options: argparse.Namespace) -> Iterable[str]:
    from mergeit_ops.core.merging.conversations import CONVERSATIONS

    models = ", ".join(f"{model} ({count:,})" for model, count in written.models.most_common())
    rows = written.rows.total()
    yield f"{many(rows + left_out.total(), 'accepted merge')}; {many(rows, 'row')}, by {models}"
    for name, count in sorted(written.rows.items()):
        yield (
            f"  {count:>7,} {agree(count, 'row', 'rows')} of {many(len(written.topics[name]), 'topic')}  "
            f"{options.output / name}"
        )
    for reason, count in left_out.items():
        yield f"  {count:>7,} left out: {reason.value}"
    if written.unproved:
        verb = agree(written.unproved, "has", "have")
        yield f"{many(written.unproved, 'row')} {verb} another prompt than the one that was sent (--any-prompt)."
    yield (
        f"The longest row has about {written.longest:,} tokens. Set the limit of the trainer (cutoff_len of "
        "LLaMA-Factory, max_length of TRL) at least as high, or it cuts off answers."
    )
    if written.system_prompt not in {
        conversation.system_prompt for styles in CONVERSATIONS.values() for conversation in styles.values()
    }:
        yield "The recipe sets a system_prompt. Use the same system_prompt when you run the student."


def _nothing(export: Path, left_out: Counter[LeftOut]) -> str:
    from mergeit_ops.runs.merger_conversations import LeftOut

    if not left_out:
        return f"{export} has no merged rows: the run had no pairs, it was a dry run, or the gate accepted no merge."
    if set(left_out) == {LeftOut.NO_MODEL}:
        return (
            f"No merge of {export} has an answer of a model to learn from, because merge_strategy: concat joins rows "
            'with "and".'
        )
    reasons = "; ".join(f"{count:,} {reason.value}" for reason, count in left_out.items())
    advice = {
        LeftOut.OTHER_PROMPT: " If the recipe sets a system_prompt, name the run's records with --work-dir. "
        "--any-prompt writes these merges with the current prompt.",
        LeftOut.NO_RATIO: " Ratios need a gate in the run: leave --min-ratio out.",
    }
    return f"No merge of {export} can be written as a row: {reasons}." + "".join(
        text for reason, text in advice.items() if reason in left_out
    )


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise DatasetError(f"--output must be a folder to write rows to; '{folder}' is a file.")
    for name in (TRAIN, VALIDATION, DATASET_INFO):
        # LLaMA-Factory's data folder has a dataset_info.json, which a mistake in the arguments must not overwrite.
        if (folder / name).exists():
            raise DatasetError(f"--output: '{folder / name}' exists already; remove it, or name another folder.")


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 0 and below 1, got {text}")
    return value
