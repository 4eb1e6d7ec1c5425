"""Random replies of many kinds that a server could give. Most of them are not usable answers."""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable, Mapping
from typing import Any

from mergeit_ops.core.merging.prompts import WORKED_EXAMPLES
from tests.llm_server import Reply, error, merged_row, parents_of

_ALPHABET = "aeiou {}[]\"'\\:,`\n\t<>/$%0123456789ä漢😀\ufeff\x00\x08\u2028\ud800\udfff"
_FIELDS = ("instruction", "input", "output")
_ODD_VALUES = (None, 7, 1.5, True, False, [], ["a", "b"], {}, {"text": "x"}, "", " \n", float("nan"), 10**40)


def fuzzed_reply(draw: random.Random, body: Mapping[str, Any]) -> Reply:
    """Draw a reply to a merge request.

    :param draw: random number generator of all choices.
    :param body: body of the request.
    """
    row = merged_row(parents_of(body))
    sort = draw.random()
    if sort < 0.62:
        return Reply(_text(draw, row, body), finish_reason=_finish_reason(draw), usage=_usage(draw))
    if sort < 0.72:
        return _odd_message(draw, row)
    if sort < 0.92:
        return _odd_body(draw, row)
    return _odd_response(draw, row)


def _text(draw: random.Random, row: dict[str, str], body: Mapping[str, Any]) -> str:
    good = json.dumps(row, ensure_ascii=draw.random() < 0.5, indent=draw.choice((None, None, 2)))
    makers: list[tuple[int, Callable[[], str]]] = [
        (4, lambda: good),
        (8, lambda: _mutated(draw, good)),
        (4, lambda: good[: draw.randrange(len(good))]),
        (4, lambda: good[draw.randrange(len(good)) :]),
        (5, lambda: _wrapped(draw, good)),
        (3, lambda: _wrapped(draw, _mutated(draw, good))),
        (6, lambda: json.dumps(_other_fields(draw, row), ensure_ascii=draw.random() < 0.5)),
        (2, lambda: _other_syntax(draw, row)),
        (2, lambda: _nested(draw)),
        (2, lambda: "".join(draw.choices(_ALPHABET, k=draw.randrange(200)))),
        (1, lambda: json.dumps({**row, "output": "a\ud800b" + draw.choice(_ALPHABET)})),
        (1, lambda: json.dumps({**row, "output": draw.choice((r"\frac{1}{2}", "\x07", "a\x00b"))})),
        (2, lambda: json.dumps(draw.choice(parents_of(body)))),
        (1, lambda: json.dumps(vars(draw.choice(WORKED_EXAMPLES)[1]))),
        (1, lambda: draw.choice(("", " \n\t", "\ufeff", "I cannot help with that.", "null", "[]", "{}", "4"))),
    ]
    text = _one_of(draw, makers)
    if draw.random() < 0.002:
        text = draw.choice((text + " " * 2_000_000, json.dumps({**row, "output": "x" * 1_500_000}), "{" * 300_000))
    return text


def _one_of(draw: random.Random, makers: list[tuple[int, Callable[[], Any]]]) -> Any:
    (maker,) = draw.choices([maker for _, maker in makers], weights=[weight for weight, _ in makers])
    return maker()


def _mutated(draw: random.Random, text: str) -> str:
    """Break a text in one to five places. Half of the breaks are at characters of JSON's syntax."""
    characters = list(text)
    for _ in range(draw.randint(1, 5)):
        marks = [place for place, character in enumerate(characters) if character in '"{}[]:,\\']
        place = draw.choice(marks) if marks and draw.random() < 0.5 else draw.randrange(len(characters) or 1)
        how = draw.randrange(4)
        if how == 0:
            characters[place : place + 1] = []
        elif how == 1:
            characters[place:place] = characters[place : place + 1]
        elif how == 2:
            characters[place : place + 1] = draw.choice(_ALPHABET)
        else:
            characters[place : place + 2] = characters[place : place + 2][::-1]
    return "".join(characters)


def _wrapped(draw: random.Random, text: str) -> str:
    form = draw.choice(
        (
            "```json\n{}\n```",
            "```\n{}\n```",
            "```json {} ```",
            "```json\n{}",
            "Sure, here it is:\n\n{}\n\nI hope it helps!",
            "Sure!\n```json\n{}\n```\nDone.",
            "[{}]",
            "[{}, {}]",
            "{}\n{}",
            '{{"merged": {}}}',
            '{{"choices": [{{"message": {}}}]}}',
            "<think>Let me see {{</think>\n{}",
            "<think>{}</think>",
            "<think>{}",
            "\ufeff{}",
            "{} // a comment",
            "<answer>{}</answer>",
        )
    )
    return form.replace("{{", "\0").replace("}}", "\1").replace("{}", text).replace("\0", "{").replace("\1", "}")


def _other_fields(draw: random.Random, row: Mapping[str, str]) -> dict[str, Any]:
    changed: dict[str, Any] = dict(row)
    for _ in range(draw.randint(1, 2)):
        name = draw.choice(_FIELDS)
        how = draw.randrange(4)
        if how == 0:
            changed.pop(name, None)
        elif how == 1:
            changed[draw.choice((name.upper(), f" {name}", f"new_{name}", "prompt", "response"))] = changed.pop(
                name, ""
            )
        elif how == 2:
            changed[name] = draw.choice(_ODD_VALUES)
        else:
            changed[draw.choice(("explanation", "system", "id"))] = draw.choice(_ODD_VALUES)
    return changed


def _other_syntax(draw: random.Random, row: dict[str, str]) -> str:
    good = json.dumps(row)
    return draw.choice(
        (
            repr(row),
            "\n".join(f"{name}: {value}" for name, value in row.items()),
            "\n\n".join(f"### {name.title()}\n{value}" for name, value in row.items()),
            good[:-1] + ",}",
            good.replace('"', "“"),
            good.replace('"', ""),
            good.replace('\\"', '"'),
            good.replace("{", "{{"),
            json.dumps(good),
            good.replace(": ", " = "),
        )
    )


def _nested(draw: random.Random) -> str:
    depth = draw.choice((10, 900, 990, 5_000, 50_000))
    opening, closing = draw.choice((("[", "]"), ('{"a":', "}"), ('{"instruction":', "}")))
    return opening * depth + "1" + closing * draw.choice((0, depth))


def _finish_reason(draw: random.Random) -> Any:
    return draw.choices(("stop", "length", "content_filter", "eos", "tool_calls", None, 7), (88, 4, 2, 2, 2, 1, 1))[0]


def _usage(draw: random.Random) -> tuple[Any, Any] | str | None:
    return draw.choices(("auto", None, (-1, 10**30), ("7", None), (float("nan"), True)), (80, 5, 5, 5, 5))[0]


def _odd_message(draw: random.Random, row: Mapping[str, str]) -> Reply:
    good = json.dumps(row)
    message = draw.choice(
        (
            {"content": None},
            {"content": [{"type": "text", "text": good}]},
            {"content": [{"type": "text", "text": good[:9]}, {"type": "text", "text": good[9:]}, 7, {"text": None}]},
            {"content": 7},
            {"content": True},
            {"content": dict(row)},
            {"content": good, "refusal": "I will not."},
            {"content": None, "refusal": "I will not."},
            {"content": good, "refusal": {"why": "no"}},
            {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"arguments": good}}]},
            {"reasoning_content": good},
            {"content": "", "reasoning": good},
            {},
            None,
            good,
            [good],
        )
    )
    choice = {"index": 0, "message": message, "finish_reason": _finish_reason(draw)}
    return Reply(payload={"choices": [choice]})


def _odd_body(draw: random.Random, row: Mapping[str, str]) -> Reply:
    good = json.dumps({"choices": [{"message": {"content": json.dumps(row)}, "finish_reason": "stop"}]})
    umlauts = json.dumps({"choices": [{"message": {"content": "Bücher, 漢字"}}]}, ensure_ascii=False)
    nested = "[" * 990 + "]" * 990
    payload = draw.choice(
        (
            {},
            {"choices": []},
            {"choices": None},
            {"choices": "none"},
            {"choices": {"0": {"message": {"content": json.dumps(row)}}}},
            {"choices": 7},
            {"choices": [None]},
            {"choices": [[]]},
            {"choices": [{"text": json.dumps(row)}]},
            {"choices": [{"delta": {"content": json.dumps(row)}}]},
            {
                "error": {
                    "message": "overloaded",
                    "code": draw.choice((429, 500, "503", "rate_limit_exceeded", None, {})),
                }
            },
            {"error": {"message": "no", "type": draw.choice(("insufficient_quota", "401", 404, ["x"]))}},
            {"error": "something went wrong"},
            {"error": {"a": [1] * 1000}},
            {"detail": "not found"},
            [],
            7,
            "text",
            [json.loads(good)],
            b"",
            b"null",
            b"NaN",
            b'{"choices": [{"message": {"content": NaN}}]}',
            b"1" * 5_000,
            good[: draw.randrange(len(good))].encode(),
            good.encode("utf-16"),
            good.encode("utf-8-sig"),
            umlauts.encode("utf-8"),
            umlauts.encode("utf-16-le"),
            umlauts.encode("latin-1", "replace"),
            umlauts.encode("gb18030"),
            b"\xff\xfe\x00" + draw.randbytes(40),
            b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>",
            b'data: {"choices": [{"delta": {"content": "x"}}]}\n\ndata: [DONE]\n\n',
            f'{{"choices": {nested}}}'.encode(),
            f'{{"error": {nested}}}'.encode(),
            f'{{"choices": [{{"message": {{"content": {nested}}}}}]}}'.encode(),
            b"[" * 100_000,
        )
    )
    kinds = (
        "application/json",
        "application/json; charset=nonsense",
        "text/html",
        "text/plain; charset=utf-16",
        "",
        "x",
    )
    kind = draw.choices(kinds, (75, 5, 5, 5, 5, 5))[0]
    return Reply(payload=payload, headers={"Content-Type": kind})


def _odd_response(draw: random.Random, row: Mapping[str, str]) -> Reply:
    waits = ("soon", "", "nan", "-3", "1e400", "Wed, 99 Foo 2026", "Sun, 06 Nov 1994 08:49:37 GMT", "0", "²")
    nested = {"error": {"message": json.loads("[" * 300 + "]" * 300)}}
    return draw.choice(
        (
            Reply(drop=True),
            error(draw.choice((400, 401, 403, 404, 408, 409, 413, 422, 429, 500, 502, 503, 504)), "no"),
            error(draw.choice((429, 503)), "slow down", retry_after=draw.choice(waits)),
            error(400, "bad", code=[], param={}, type=7),
            Reply(status=400, payload=draw.choice((nested, [], None, "text", 7, {"error": None}, b"", b"\xff\xfe"))),
            Reply(status=500, payload=b"<html>" + b"x" * 5_000, headers={"Content-Type": "text/html"}),
            Reply(status=draw.choice((204, 301, 302, 304)), payload=b""),
            Reply(status=307, payload=b"", headers={"Location": "http://127.0.0.1:1/elsewhere"}),
            Reply(payload=b"no gzip at all", headers={"Content-Encoding": "gzip"}),
            Reply(payload=gzip.compress(json.dumps(row).encode()), headers={"Content-Encoding": "gzip"}),
            Reply(payload=b'{"cut": ', headers={"Content-Length": "500", "Connection": "close"}),
        )
    )
