"""Ways to spoil an export that `verify` must find.

A mutation changes rows in place; it raises where the export has nothing to do it to.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterable
from typing import Any

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.rows.identity import group_id
from mergeit_ops.core.rows.lossless import decode_row, encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.merge_table import merged_row

Row = dict[str, Any]
Mutation = Callable[[list[Row], random.Random], None]

MUTATIONS: dict[str, Mutation] = {}
TAKES_A_ROW: set[str] = set()
"""Those that only take a row away: nobody can tell them from a filter behind the gate."""
CHANGES_A_ROW: set[str] = set()
"""Those that only change what a row of the export itself holds: nobody can tell them from a mapper behind the gate."""

_SAMPLE = ("instruction", "input", "output", "query", "response", "messages", "conversations", "system")


def _mutation(*kinds: set[str]) -> Callable[[Mutation], Mutation]:
    def register(function: Mutation) -> Mutation:
        name = function.__name__.replace("_", " ")
        MUTATIONS[name] = function
        for kind in kinds:
            kind.add(name)
        return function

    return register


# What they have in common.


def _status(row: Row) -> str | None:
    return (row.get(META) or {}).get("merge_status")


def _some(rows: list[Row], rng: random.Random, *statuses: str, number: int = 1) -> list[Row]:
    """Choose rows of some statuses; too few make the mutation one that cannot be done."""
    found = [row for row in rows if _status(row) in statuses]
    if len(found) < number:
        raise _NotHereError
    return rng.sample(found, number)


class _NotHereError(Exception):
    pass


def _need(there: Any) -> None:
    if not there:
        raise _NotHereError


def apply(name: str, rows: list[Row], seed: int) -> list[Row] | None:
    """Return the mutated rows, or None where there is nothing to do it to.

    :param name: of the mutation.
    :param rows: of an export; they are not changed.
    :param seed: of the choice of rows.
    """
    changed = copy.deepcopy(rows)
    try:
        MUTATIONS[name](changed, random.Random(seed))
    except _NotHereError:
        return None
    return None if changed == rows else changed


def _remove(rows: list[Row], gone: Row) -> None:
    del rows[next(number for number, row in enumerate(rows) if row is gone)]


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name not in (META, STATS)}


def _as_parent(row: Row) -> str:
    return encode_row(_content(row) | {META: row[META]})


def _add_parent(row: Row, text: str) -> None:
    meta = row[META]
    meta["merge_parents"] = [*meta["merge_parents"], text]
    meta["merge_parent_ids"] = [*meta["merge_parent_ids"], decode_row(text)[META]["row_id"]]


def _set_parents(row: Row, texts: Iterable[str]) -> None:
    row[META]["merge_parents"], row[META]["merge_parent_ids"] = [], []
    for text in texts:
        _add_parent(row, text)


def _edit_text(row: Row, rng: random.Random) -> None:
    """Change a letter of what a row answers."""
    name = next(name for name in ("output", "response", "messages", "conversations") if name in row)
    if isinstance(row[name], str):
        row[name] = row[name][:-1] + rng.choice("#%")
        return
    turn = row[name][-1]
    field = "content" if "content" in turn else "value"
    turn[field] = turn[field] + rng.choice("#%")


def _stand_alone(text: str, status: str) -> Row:
    row = decode_row(text)
    return row | {META: row[META] | {"merge_status": status}, STATS: {}}


def _layout(row: Row) -> Any:
    return resolve_format("auto", list(_content(row)))


def _invented(first: Row, second: Row) -> Row:
    """Merge two rows of the export, as the merger would write it."""
    layout = _layout(first)
    samples = [layout.read(row).sample for row in (first, second)]
    answer = Sample(
        " and ".join(sample.instruction for sample in samples), "", "\n\n".join(sample.output for sample in samples)
    )
    contents = [_content(row) for row in (first, second)]
    ids = [row[META]["row_id"] for row in (first, second)]
    meta = first[META] | {
        "merge_status": "merged",
        "merge_group_id": group_id(ids),
        "row_id": f"merge-{group_id(ids)}",
        "merge_parents": [_as_parent(row) for row in (first, second)],
        "merge_parent_ids": ids,
        "merge_rejected": None,
        "merge_rejected_text": None,
        "merge_error": None,
        "merge_similarity": 0.9,
        "merge_model": "concat",
    }
    return merged_row(layout, answer, contents) | {META: meta, STATS: first.get(STATS) or {}}


def _agreed_columns(row: Row) -> list[str]:
    parents = [decode_row(text) for text in row[META]["merge_parents"]]
    return [
        name
        for name in _content(row)
        if name not in _SAMPLE and parents[0].get(name) and all(p.get(name) == parents[0][name] for p in parents)
    ]


def _split_columns(row: Row) -> list[str]:
    parents = [decode_row(text) for text in row[META]["merge_parents"]]
    return [name for name in _content(row) if name not in _SAMPLE and any(p[name] != parents[0][name] for p in parents)]


# Rows lost and doubled.


@_mutation(TAKES_A_ROW)
def an_original_is_gone(rows, rng):
    _remove(rows, _some(rows, rng, "original")[0])


@_mutation(TAKES_A_ROW)
def a_restored_row_is_gone(rows, rng):
    _remove(rows, _some(rows, rng, "restored")[0])


@_mutation(TAKES_A_ROW)
def a_merged_row_is_gone(rows, rng):
    _remove(rows, _some(rows, rng, "merged")[0])


@_mutation(TAKES_A_ROW)
def a_topic_is_gone(rows, rng):
    topic = rng.choice(rows)[META]["topic_id"]
    kept = [row for row in rows if row[META]["topic_id"] != topic]
    _need(kept)
    rows[:] = kept


@_mutation()
def an_original_is_there_twice(rows, rng):
    rows.append(_some(rows, rng, "original")[0])


@_mutation()
def a_restored_row_is_there_twice(rows, rng):
    rows.append(_some(rows, rng, "restored")[0])


@_mutation()
def a_merged_row_is_there_twice(rows, rng):
    rows.insert(0, _some(rows, rng, "merged")[0])


@_mutation()
def a_row_stands_in_for_another(rows, rng):
    first, second = _some(rows, rng, "original", "restored", "merged", number=2)
    first.clear()
    first.update(copy.deepcopy(second))


@_mutation()
def a_row_is_of_nobody(rows, rng):
    row = copy.deepcopy(_some(rows, rng, "original", "restored")[0])
    _edit_text(row, rng)
    row[META]["row_id"] = "0" * 20
    rows.append(row)


@_mutation()
def a_row_without_lineage_is_added(rows, rng):
    row = copy.deepcopy(_some(rows, rng, "original", "restored")[0])
    _edit_text(row, rng)
    row[META] = None
    rows.append(row)


@_mutation()
def a_parent_stands_alone_as_well(rows, rng):
    text = rng.choice(_some(rows, rng, "merged")[0][META]["merge_parents"])
    rows.append(_stand_alone(text, "original"))


# What rows hold.


@_mutation(CHANGES_A_ROW)
def the_text_of_an_original_is_edited(rows, rng):
    _edit_text(_some(rows, rng, "original")[0], rng)


@_mutation(CHANGES_A_ROW)
def the_text_of_a_restored_row_is_edited(rows, rng):
    _edit_text(_some(rows, rng, "restored")[0], rng)


@_mutation(CHANGES_A_ROW)
def the_text_of_a_merged_row_is_edited(rows, rng):
    _edit_text(_some(rows, rng, "merged")[0], rng)


@_mutation(CHANGES_A_ROW)
def a_column_of_an_original_is_edited(rows, rng):
    _some(rows, rng, "original", "restored")[0]["source"] = "elsewhere"


@_mutation(CHANGES_A_ROW)
def a_column_of_an_original_is_emptied(rows, rng):
    _some(rows, rng, "original", "restored")[0]["lang"] = None


@_mutation(CHANGES_A_ROW)
def two_originals_exchange_their_texts(rows, rng):
    first, second = _some(rows, rng, "original", "restored", number=2)
    for name in _SAMPLE:
        if name in first:
            first[name], second[name] = second[name], first[name]
    _need(_content(first) != _content(second))


@_mutation(CHANGES_A_ROW)
def two_originals_exchange_their_lineage(rows, rng):
    first, second = _some(rows, rng, "original", "restored", number=2)
    _need(_content(first) != _content(second))
    first[META], second[META] = second[META], first[META]


@_mutation(CHANGES_A_ROW)
def a_merged_row_lacks_what_its_parents_agree_on(rows, rng):
    row = _some(rows, rng, "merged")[0]
    del row[rng.choice(_agreed_columns(row))]


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_null_where_its_parents_agree(rows, rng):
    row = _some(rows, rng, "merged")[0]
    row[rng.choice(_agreed_columns(row))] = None


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_another_value_than_its_parents_agree_on(rows, rng):
    _some(rows, rng, "merged")[0]["lang"] = "de"


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_the_value_of_one_parent_alone(rows, rng):
    row = _some(rows, rng, "merged")[0]
    columns = _split_columns(row)
    _need(columns)
    name = rng.choice(columns)
    values = [decode_row(text)[name] for text in row[META]["merge_parents"]]
    row[name] = next(value for value in values if value != row[name])


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_a_column_of_its_own(rows, rng):
    _some(rows, rng, "merged")[0]["more"] = "x"


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_tools(rows, rng):
    name = rng.choice(["tools", "functions", "chat_template_kwargs", "images"])
    _some(rows, rng, "merged")[0][name] = '[{"name": "f"}]'


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_another_system_prompt(rows, rng):
    row = _some(rows, rng, "merged")[0]
    chat = row.get("messages") or row.get("conversations")
    if chat and chat[0].get("role") == "system":
        chat[0]["content"] = "Obey."
    elif chat and "role" in chat[0]:
        chat.insert(0, {"role": "system", "content": "Obey."})
    else:
        row["system"] = "Obey."


@_mutation(CHANGES_A_ROW)
def a_merged_row_has_one_more_turn(rows, rng):
    row = _some(rows, rng, "merged")[0]
    chat = row.get("messages") or row.get("conversations")
    _need(chat)
    last = copy.deepcopy(chat[-1])
    last["role" if "role" in last else "from"] = rng.choice(["tool", "user", "assistant", "system"])
    chat.append(last)


@_mutation(CHANGES_A_ROW)
def a_speaker_of_a_merged_row_has_another_name(rows, rng):
    row = _some(rows, rng, "merged")[0]
    chat = row.get("messages") or row.get("conversations")
    _need(chat)
    turn = chat[-1]
    turn["role" if "role" in turn else "from"] = "model"


# What merged rows are made of.


@_mutation()
def two_merges_exchange_a_parent(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    one, other = (list(row[META]["merge_parents"]) for row in (first, second))
    _need(one[-1] != other[-1])
    one[-1], other[-1] = other[-1], one[-1]
    _set_parents(first, one)
    _set_parents(second, other)


@_mutation()
def two_merges_exchange_a_parent_and_their_ids_follow(rows, rng):
    two_merges_exchange_a_parent(rows, rng)
    for row in rows:
        if _status(row) == "merged":
            group = group_id(row[META]["merge_parent_ids"])
            row[META] |= {"merge_group_id": group, "row_id": f"merge-{group}"}


@_mutation()
def two_merges_exchange_all_parents(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    one, other = (list(row[META]["merge_parents"]) for row in (first, second))
    _set_parents(first, other)
    _set_parents(second, one)


@_mutation()
def two_merges_exchange_the_texts_of_a_parent_alone(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    one, other = first[META]["merge_parents"], second[META]["merge_parents"]
    one[0], other[0] = other[0], one[0]


@_mutation()
def two_merges_exchange_the_ids_of_a_parent_alone(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    one, other = first[META]["merge_parent_ids"], second[META]["merge_parent_ids"]
    one[0], other[0] = other[0], one[0]


@_mutation(CHANGES_A_ROW)
def two_merges_exchange_their_lineage(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    first[META], second[META] = second[META], first[META]
    _need(_content(first) != _content(second))


@_mutation()
def two_merges_exchange_their_ids(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    one, other = first[META], second[META]
    one["row_id"], other["row_id"] = other["row_id"], one["row_id"]


@_mutation()
def the_parents_of_a_merge_come_in_another_order(rows, rng):
    row = _some(rows, rng, "merged")[0]
    _set_parents(row, list(row[META]["merge_parents"])[::-1])


@_mutation()
def an_original_hides_as_a_parent(rows, rng):
    hidden = _some(rows, rng, "original")[0]
    _add_parent(_some(rows, rng, "merged")[0], _as_parent(hidden))
    _remove(rows, hidden)


@_mutation()
def a_restored_row_hides_as_a_parent(rows, rng):
    hidden = _some(rows, rng, "restored")[0]
    _add_parent(_some(rows, rng, "merged")[0], _as_parent(hidden))
    _remove(rows, hidden)


@_mutation()
def an_original_and_a_parent_exchange_their_places(rows, rng):
    original, merged = _some(rows, rng, "original")[0], _some(rows, rng, "merged")[0]
    texts = list(merged[META]["merge_parents"])
    texts[-1], freed = _as_parent(original), texts[-1]
    _set_parents(merged, texts)
    _remove(rows, original)
    rows.append(_stand_alone(freed, "original"))


@_mutation()
def a_merge_swallows_another(rows, rng):
    first, second = _some(rows, rng, "merged", number=2)
    _set_parents(first, [*first[META]["merge_parents"], *second[META]["merge_parents"]])
    _remove(rows, second)


@_mutation()
def a_parent_leaves_its_merge(rows, rng):
    merged = _some(rows, rng, "merged")[0]
    *rest, freed = merged[META]["merge_parents"]
    _set_parents(merged, rest)
    rows.append(_stand_alone(freed, rng.choice(["original", "restored"])))


@_mutation()
def a_parent_is_dropped(rows, rng):
    merged = _some(rows, rng, "merged")[0]
    _set_parents(merged, list(merged[META]["merge_parents"])[:-1])


@_mutation()
def all_parents_are_dropped(rows, rng):
    _set_parents(_some(rows, rng, "merged")[0], [])


@_mutation()
def a_parent_is_edited(rows, rng):
    meta = _some(rows, rng, "merged")[0][META]
    parent = decode_row(meta["merge_parents"][0])
    _edit_text(parent, rng)
    meta["merge_parents"][0] = encode_row(parent)


@_mutation()
def a_parent_lacks_a_column(rows, rng):
    meta = _some(rows, rng, "merged")[0][META]
    meta["merge_parents"][0] = encode_row(
        {k: v for k, v in decode_row(meta["merge_parents"][0]).items() if k != "lang"}
    )


@_mutation()
def a_parent_cannot_be_read(rows, rng):
    _some(rows, rng, "merged")[0][META]["merge_parents"][0] = "{"


@_mutation()
def a_parent_is_there_twice_in_its_merge(rows, rng):
    merged = _some(rows, rng, "merged")[0]
    _add_parent(merged, merged[META]["merge_parents"][0])


# Decisions turned round.


@_mutation()
def a_merge_is_invented(rows, rng):
    first, second = _some(rows, rng, "original", number=2)
    rows[rows.index(first)] = _invented(first, second)
    _remove(rows, second)


@_mutation()
def a_merge_is_invented_under_the_id_of_another(rows, rng):
    first, second = _some(rows, rng, "original", number=2)
    made = _invented(first, second)
    made[META]["row_id"] = _some(rows, rng, "merged")[0][META]["row_id"]
    rows[rows.index(first)] = made
    _remove(rows, second)


@_mutation()
def an_original_says_that_it_was_merged(rows, rng):
    _some(rows, rng, "original")[0][META]["merge_status"] = "merged"


@_mutation()
def a_merged_row_says_that_it_is_an_original(rows, rng):
    _some(rows, rng, "merged")[0][META]["merge_status"] = "original"


@_mutation()
def an_original_says_that_it_was_restored(rows, rng):
    _some(rows, rng, "original")[0][META]["merge_status"] = "restored"


@_mutation()
def a_restored_row_says_that_it_is_an_original(rows, rng):
    _some(rows, rng, "restored")[0][META]["merge_status"] = "original"


@_mutation()
def a_merge_is_taken_apart(rows, rng):
    merged = _some(rows, rng, "merged")[0]
    status = rng.choice(["original", "restored"])
    rows += [_stand_alone(text, status) for text in merged[META]["merge_parents"]]
    _remove(rows, merged)


@_mutation()
def a_rejected_merge_takes_the_place_of_its_parents(rows, rng):
    rejected = [row for row in rows if row[META].get("merge_rejected_text")]
    _need(rejected)
    first = rng.choice(rejected)
    group = first[META]["merge_group_id"]
    parents = [row for row in rows if row[META]["merge_group_id"] == group]
    _need(len(parents) > 1)
    made = _invented(*parents[:2])
    layout = _layout(first)
    answer = Sample(**decode_row(first[META]["merge_rejected_text"]), system=layout.read(first).sample.system)
    ids = [row[META]["row_id"] for row in parents]
    own = {"row_id": f"merge-{group_id(ids)}", "merge_group_id": group, "merge_parent_ids": ids}
    made |= merged_row(layout, answer, [_content(row) for row in parents])
    made[META] |= own | {"merge_parents": [_as_parent(row) for row in parents]}
    rows[rows.index(first)] = made
    for parent in parents[1:]:
        _remove(rows, parent)


# What is missing from the lineage.


@_mutation()
def a_merged_row_has_no_lineage(rows, rng):
    _some(rows, rng, "merged")[0][META] = None


@_mutation()
def an_original_has_no_lineage(rows, rng):
    _some(rows, rng, "original", "restored")[0][META] = None


@_mutation()
def a_row_has_no_id(rows, rng):
    _some(rows, rng, "original", "restored", "merged")[0][META]["row_id"] = None


def _past_merges(rows: list[Row]) -> list[Row]:
    return [row for row in rows if any('"merged"' in text for text in (row[META] or {}).get("merge_history") or ())]


@_mutation()
def what_an_earlier_merge_was_made_of_is_edited(rows, rng):
    past = _past_merges(rows)
    _need(past)
    meta = rng.choice(past)[META]
    last = json.loads(meta["merge_history"][-1])
    parent = decode_row(last["merge_parents"][0])
    _edit_text(parent, rng)
    last["merge_parents"][0] = encode_row(parent)
    meta["merge_history"] = [*meta["merge_history"][:-1], json.dumps(last)]


@_mutation()
def an_earlier_merge_is_forgotten(rows, rng):
    past = _past_merges(rows)
    _need(past)
    rng.choice(past)[META]["merge_history"] = []


@_mutation()
def two_rows_exchange_their_earlier_merges(rows, rng):
    past = _past_merges(rows)
    _need(len(past) > 1)
    first, second = (row[META] for row in rng.sample(past, 2))
    first["merge_history"], second["merge_history"] = second["merge_history"], first["merge_history"]


def _exchange_time(rows: list[Row], rng: random.Random, *names: str) -> None:
    """Give an original the time of another row."""
    name = rng.choice(names)
    there = [row for row in rows if row.get(name) and _status(row) == "original"]
    _need(there)
    row = rng.choice(there)
    others = [other for other in there if other[name] != row[name]]
    _need(others)
    row[name] = rng.choice(others)[name]


@_mutation(CHANGES_A_ROW)
def a_time_is_that_of_another_row(rows: list[Row], rng: random.Random) -> None:
    _exchange_time(rows, rng, "day", "moment")


@_mutation(CHANGES_A_ROW)
def a_time_inside_a_value_is_that_of_another_row(rows: list[Row], rng: random.Random) -> None:
    _exchange_time(rows, rng, "about", "days")


@_mutation(CHANGES_A_ROW)
def a_time_becomes_a_null(rows: list[Row], rng: random.Random) -> None:
    there = [row for row in rows if row.get("day") and _status(row) == "original"]
    _need(there)
    rng.choice(there)["day"] = None
