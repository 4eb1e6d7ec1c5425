"""Check values against untrusted JSON Schemas: nothing is fetched, and the time is limited."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import regex
from jsonschema import Draft202012Validator, exceptions, validators
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import SchemaRegistry

__all__ = ["Schemas"]

_LONGEST_SCHEMA = 1_000_000  # characters
_MOST_STEPS = 100_000  # keywords processed in one check
_MOST_UNIQUE = 2_000  # items that may have to be compared in pairs
_PATTERN_SECONDS = 0.25  # for all patterns of one check
_TYPES = {"str": "string", "text": "string", "int": "integer", "float": "number", "double": "number", "bool": "boolean"}
_TYPES |= {"list": "array", "tuple": "array", "set": "array", "dict": "object"}
"""Maps Python's names of types, which people use in schemas, to those of JSON Schema."""
_JSON_TYPES = ("string", "integer", "number", "boolean", "array", "object", "null")
_OF_SCHEMAS = (
    *("type", "properties", "patternProperties", "additionalProperties", "propertyNames"),
    *("$ref", "anyOf", "oneOf", "allOf", "not", "$defs", "definitions"),
)


class _TooMuchError(Exception):
    """A check takes more work than a tool's schema should."""


class Schemas:
    """Checks values against schemas.

    References are followed only within a schema. A check is stopped after 100,000 steps, or after 0.25 seconds of
    matching patterns.
    """

    def __init__(self) -> None:
        self._left = 0
        self._seconds = 0.0
        self._validators: dict[Any, Any] = {}
        self._prepared = lru_cache(maxsize=4_096)(self._prepare)

    def check(self, schema: str, value: Any) -> bool | str:
        """Return whether a value fits a schema.

        :param schema: the schema as JSON text; if it is empty, every value fits. A mapping from names to schemas, which
            some data sets use, is read as the properties of an object, and Python's names of types are read as JSON's.
        :param value: of JSON.
        :return: whether it fits; or `invalid_schema`; `unresolved_reference` for a reference to another document; or
            `schema_too_large` for a check that takes too long.
        """
        if not schema.strip():
            return True
        prepared = self._prepared(schema)
        if isinstance(prepared, str):
            return prepared
        self._left, self._seconds = _MOST_STEPS, _PATTERN_SECONDS
        try:
            return next(prepared.iter_errors(value), None) is None
        except (Unresolvable, exceptions._WrappedReferencingError):
            return "unresolved_reference"
        except (_TooMuchError, RecursionError):
            return "schema_too_large"
        except Exception:  # the library may fail even at a formally valid schema
            return "invalid_schema"

    def _prepare(self, text: str) -> Validator | str:
        if len(text) > _LONGEST_SCHEMA:
            return "schema_too_large"
        try:
            schema = _as_schema(json.loads(text))
        except (ValueError, RecursionError):
            return "invalid_schema"
        if not isinstance(schema, (dict, bool)):
            return "invalid_schema"
        self._left, self._seconds = _MOST_STEPS, _PATTERN_SECONDS
        try:
            draft = validators.validator_for(schema, default=Draft202012Validator)
            rules = self._bounded(draft)(draft.META_SCHEMA, registry=_own_specifications())
            if next(rules.iter_errors(schema), None) is not None:
                return "invalid_schema"
        except (_TooMuchError, RecursionError):
            return "schema_too_large"
        except Exception:
            return "invalid_schema"
        return self._bounded(draft)(schema, registry=Registry())

    def _bounded(self, draft: Any) -> Any:
        """Return a validator whose keywords count as steps."""
        if draft not in self._validators:
            keywords = {**draft.VALIDATORS, "pattern": self._pattern, "patternProperties": self._pattern_properties}
            if "additionalProperties" in keywords:
                keywords["additionalProperties"] = self._additional_properties
            if "unevaluatedProperties" in keywords:
                # This keyword matches patterns itself.
                keywords["unevaluatedProperties"] = _nothing
            self._validators[draft] = validators.extend(
                draft, {name: self._counted(name, keyword) for name, keyword in keywords.items()}
            )
        return self._validators[draft]

    def _counted(self, name: str, keyword: Callable[..., Any]) -> Callable[..., Iterator[Any]]:
        def counted(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
            self._left -= 1
            if name == "enum" and isinstance(value, list):
                self._left -= len(value)
            too_many = name == "uniqueItems" and isinstance(instance, list) and len(instance) > _MOST_UNIQUE
            if self._left < 0 or too_many:
                raise _TooMuchError(name)
            yield from keyword(validator, value, instance, schema) or ()

        return counted

    def _matches(self, pattern: str, text: str) -> bool:
        began = time.monotonic()
        try:
            return regex.search(pattern, text, timeout=max(self._seconds, 1e-3)) is not None
        except TimeoutError as error:
            raise _TooMuchError("pattern") from error
        finally:
            self._seconds -= time.monotonic() - began

    def _pattern(self, validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        if validator.is_type(instance, "string") and not self._matches(pattern, instance):
            yield exceptions.ValidationError("the text does not match the pattern")

    def _pattern_properties(self, validator: Any, patterns: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not validator.is_type(instance, "object"):
            return
        for pattern, inner in patterns.items():
            for name, item in instance.items():
                if self._matches(pattern, name):
                    yield from validator.descend(item, inner, path=name, schema_path=pattern)

    def _additional_properties(self, validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterator[Any]:
        if not validator.is_type(instance, "object"):
            return
        patterns = schema.get("patternProperties", {})
        for name, item in instance.items():
            if name in schema.get("properties", {}) or any(self._matches(pattern, name) for pattern in patterns):
                continue
            if validator.is_type(allowed, "object"):
                yield from validator.descend(item, allowed, path=name)
            elif allowed is False:
                yield exceptions.ValidationError("there is no such property")


@lru_cache(maxsize=1)
def _own_specifications() -> SchemaRegistry:
    from jsonschema_specifications import REGISTRY

    return REGISTRY


def _nothing(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[Any]:
    return iter(())


def _as_schema(given: Any) -> Any:
    """Return a schema with JSON's names of types; a mapping from names to schemas becomes an object's schema."""
    if not isinstance(given, Mapping) or not given or any(_is_keyword(name, given) for name in given):
        return _with_json_types(given)
    if not all(isinstance(item, Mapping) for item in given.values()):
        return _with_json_types(given)
    return {"type": "object", "properties": {name: _with_json_types(item) for name, item in given.items()}}


def _is_keyword(name: str, given: Mapping[str, Any]) -> bool:
    """Return whether a name is a keyword of JSON Schema, and not a parameter with the same name, such as `type`."""
    if name not in _OF_SCHEMAS:
        return False
    return name != "type" or not isinstance(given[name], Mapping)


def _with_json_types(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_with_json_types(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    found = {}
    for name, value in schema.items():
        if name in ("enum", "const", "default", "examples", "example"):
            found[name] = value
        elif name == "type" and isinstance(value, str):
            if kind := _json_type(value):
                found[name] = kind
        else:
            found[name] = _with_json_types(value)
    return found


def _json_type(name: str) -> Any:
    """Return the type that a word means; None for a word that allows anything; an unknown word unchanged."""
    word = name.strip().lower()
    if word in _JSON_TYPES:
        return word
    first, *others = (part.strip() for part in word.split(","))
    optional = "optional" in others
    if first.startswith("optional[") and first.endswith("]"):
        first, optional = first[len("optional[") : -1], True
    base = first.partition("[")[0]
    if base in ("any", "union", "object or null", "callable"):
        return None
    kind = _TYPES.get(base, base if base in _JSON_TYPES else None)
    if kind is None:
        return name
    return [kind, "null"] if optional else kind
