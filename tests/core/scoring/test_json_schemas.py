"""Values against JSON Schemas that anybody may have written."""

import json
import time

import pytest

from mergeit_ops.core.scoring.json_schemas import Schemas

HERB = {"type": "object", "properties": {"herb": {"type": "string"}}, "required": ["herb"]}


def check(schema, value):
    return Schemas().check(schema if isinstance(schema, str) else json.dumps(schema), value)


@pytest.mark.parametrize(
    ("schema", "value", "fits"),
    [
        (HERB, {"herb": "basil"}, True),
        (HERB, {"herb": 3}, False),
        (HERB, {}, False),
        (HERB, {"herb": "basil", "more": 1}, True),
        (HERB | {"additionalProperties": False}, {"herb": "basil", "more": 1}, False),
        (HERB | {"additionalProperties": {"type": "integer"}}, {"herb": "basil", "more": "x"}, False),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, {"x1": 1}, True),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, {"x1": "a"}, False),
        ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": False}, {"y": 1}, False),
        ({"properties": {"day": {"type": "string", "pattern": r"^\d{4}-\d\d$"}}}, {"day": "2024-01"}, True),
        ({"properties": {"day": {"type": "string", "pattern": r"^\d{4}-\d\d$"}}}, {"day": "January"}, False),
        ({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}, {"a": 1.5}, True),
        ({"properties": {"a": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}, {"a": "x"}, False),
        ({"properties": {"a": {"enum": ["x", None]}}}, {"a": None}, True),
        ("", {"any": "thing"}, True),
        ("{}", {"any": "thing"}, True),
        ("true", {}, True),
        ("false", {}, False),
        # The draft that a schema names: in draft 4 this is a flag.
        (
            {
                "$schema": "http://json-schema.org/draft-04/schema#",
                "properties": {"a": {"minimum": 1, "exclusiveMinimum": True}},
            },
            {"a": 1},
            False,
        ),
        # Types as Python and Gemini call them.
        ({"type": "dict", "properties": {"n": {"type": "int"}}}, {"n": 3}, True),
        ({"type": "dict", "properties": {"n": {"type": "int"}}}, {"n": "x"}, False),
        ({"type": "OBJECT", "properties": {"n": {"type": "STRING"}}}, {"n": 1}, False),
        # A mapping from names to schemas.
        ({"n": {"type": "int, optional"}, "of": {"type": "List[str]"}}, {"n": None, "of": ["a"]}, True),
        ({"n": {"type": "int, optional"}, "of": {"type": "List[str]"}}, {"of": "a"}, False),
        ({"type": {"type": "str"}}, {"type": "a"}, True),
        ({"type": {"type": "str"}}, {"type": 1}, False),
        ({"n": {"type": "Any"}}, {"n": [1]}, True),
    ],
)
def test_a_value_fits_its_schema_or_not(schema, value, fits):
    assert check(schema, value) is fits


@pytest.mark.parametrize(
    "schema",
    [
        '{"type": "object"',
        "[]",
        "7",
        "null",
        {"type": "object", "properties": []},
        {"type": "object", "properties": {"a": {"type": "nonsense"}}},
        {"type": "object", "required": "herb"},
        {"type": "object", "properties": {"a": {"pattern": "("}}},
        {"$schema": ["x"], "type": "object"},
    ],
)
def test_an_invalid_schema_is_a_reason(schema):
    assert check(schema, {"a": "x"}) == "invalid_schema"


@pytest.mark.parametrize("reference", ["https://127.0.0.1:1/x.json", "file:///etc/passwd", "other.json", "#/$defs/no"])
def test_nothing_outside_of_a_schema_is_fetched(reference, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}}
    assert check(schema, {"a": 1}) == "unresolved_reference"
    assert check(schema, {}) is True


def doubled(depth):
    """Return a schema whose references double with every step."""
    steps = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/d0", "$defs": {**steps, f"d{depth}": {"type": "object"}}}


def nested(depth):
    return '{"items": ' * depth + "{}" + "}" * depth


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"properties": {"a": {"pattern": "^(a|aa)+$"}}}, {"a": "a" * 40 + "!"}),
        ({"patternProperties": {"^(a|aa)+$": {}}}, {"a" * 40 + "!": 1}),
        (
            {"properties": {f"p{n}": {"pattern": "^(a|a)*$"} for n in range(50)}},
            {f"p{n}": "a" * 40 + "!" for n in range(50)},
        ),
        (doubled(40), {}),
        ({"$ref": "#"}, {}),
        ({"properties": {"a": {"uniqueItems": True}}}, {"a": [{"x": n} for n in range(5_000)]}),
        ({"properties": {f"p{n}": {"type": "string"} for n in range(60_000)}}, {}),
        (nested(400), []),
    ],
)
def test_what_takes_too_long_is_given_up(schema, value):
    began = time.perf_counter()
    assert check(schema, value) == "schema_too_large"
    assert time.perf_counter() - began < 10


def test_a_schema_too_deep_to_read_is_a_reason():
    assert check(nested(200_000), {}) in ("schema_too_large", "invalid_schema")


def test_a_check_does_not_use_up_the_steps_of_the_next():
    schemas = Schemas()
    text = json.dumps(HERB)
    assert {schemas.check(text, {"herb": "basil"}) for _ in range(30_000)} == {True}
