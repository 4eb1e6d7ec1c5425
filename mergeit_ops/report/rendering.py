"""Pages that need nothing beside themselves: one frame, one look, and numbers as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from mergeit_ops.report.text import TEXT_LIMIT, as_script_data, shown

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup

__all__ = ["ASSETS", "count", "figure", "fragment", "percent", "plain", "render", "rounded", "seconds"]

Folder = tuple[str, str]
"""A package, and a folder in it."""

ASSETS: Folder = ("mergeit_ops.report", "assets")
"""What all pages share."""


def fragment(folder: Folder, template: str, values: Mapping[str, Any]) -> Markup:
    """Return part of a page.

    :param folder: with the template.
    :param template: its file name.
    :param values: what its names stand for; what is text in them is escaped.
    """
    from markupsafe import Markup

    return Markup(_environment(folder).get_template(template).render(values))


def render(folder: Folder, template: str, values: Mapping[str, Any], data: Any, scripts: Sequence[str]) -> str:
    """Return a page.

    :param folder: with the template and the scripts.
    :param template: the file name of one that extends `page.html`; it may stand among the shared assets.
    :param values: what its names stand for; what is text in them is escaped.
    :param data: for its scripts; what JSON can hold.
    :param scripts: file names, in their order after `plots.js`.
    """
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    around = {
        "css": Markup(_text(ASSETS, "report.css")),
        "script": Markup("".join([_text(ASSETS, "plots.js"), *(_text(folder, name) for name in scripts)])),
        "plotly": Markup(get_plotlyjs()),
        "data": Markup(as_script_data(data)),
    }
    return _environment(folder).get_template(template).render({**around, **values})


@lru_cache
def _environment(folder: Folder) -> Environment:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(*folder), PackageLoader(*ASSETS)]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters: dict[str, Callable[..., str]] = {
        "count": count,
        "seconds": seconds,
        "figure": figure,
        "percent": percent,
        "plain": plain,
    }
    environment.filters.update(filters)
    environment.globals["version"] = version("mergeit-ops")
    return environment


def count(value: Any) -> str:
    """Return a whole number with separators of thousands; a dash for None."""
    return "–" if value is None else f"{value:,}"


def figure(value: Any, digits: int = 2) -> str:
    """Return a number with so many digits behind the point; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def seconds(value: Any) -> str:
    """Return a duration as people say it."""
    if value is None:
        return "–"
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def plain(text: str) -> str:
    """Return a text as a page may show it."""
    return shown(text, TEXT_LIMIT)[0]


def rounded(value: Any, digits: int) -> float | None:
    """Return a number for a script; None for what is no number."""
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return round(float(value), digits) if known else None


def _text(folder: Folder, name: str) -> str:
    package, path = folder
    return (files(package) / path / name).read_text(encoding="utf-8")
