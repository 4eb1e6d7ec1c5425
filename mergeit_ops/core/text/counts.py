"""Numbers with their nouns and verbs, in messages for people."""

from __future__ import annotations

__all__ = ["agree", "many"]


def many(number: int, noun: str, plural: str | None = None) -> str:
    """Return a number with its noun, such as `1 row` or `1,234 rows`.

    :param number: the number.
    :param noun: the noun in the singular.
    :param plural: its plural; None: with an s.
    """
    return f"{number:,} {agree(number, noun, plural or f'{noun}s')}"


def agree(number: int, one: str, several: str) -> str:
    """Return the form of a word that agrees with a number, such as `is` or `are`.

    :param number: the number.
    :param one: the form for one.
    :param several: the form for none or several.
    """
    return one if number == 1 else several
