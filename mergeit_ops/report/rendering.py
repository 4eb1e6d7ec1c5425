"""Rendering of self-contained HTML pages with a common layout, and formatting of their numbers."""

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
"""Name of a package, and a folder in it."""

ASSETS: Folder = ("mergeit_ops.report", "assets")
"""Templates, styles and scripts that all pages share."""


def fragment(folder: Folder, template: str, values: Mapping[str, Any]) -> Markup:
    """Return part of a page.

    :param folder: folder of the template.
    :param template: file name of the template.
    :param values: variables of the template. Text in them is escaped.
    """
    from markupsafe import Markup

    return Markup(_environment(folder).get_template(template).render(values))


def render(folder: Folder, template: str, values: Mapping[str, Any], data: Any, scripts: Sequence[str]) -> str:
    """Return a page.

    :param folder: folder of the template and the scripts.
    :param template: file name of a template that extends `page.html`, in `folder` or in the shared assets.
    :param values: variables of the template. Text in them is escaped.
    :param data: data of the scripts, in a form that JSON can hold.
    :param scripts: file names of the scripts, which run after `plots.js` in this order.
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
    """Return an integer with thousands separators; a dash for None."""
    return "–" if value is None else f"{value:,}"


def figure(value: Any, digits: int = 2) -> str:
    """Return a number with `digits` decimals; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}"


def percent(value: float, digits: int = 1) -> str:
    """Return a share as a percentage."""
    return f"{100 * value:.{digits}f} %"


def seconds(value: Any) -> str:
    """Return a duration in seconds, minutes or hours; a dash for None."""
    if value is None:
        return "–"
    if round(value, 1) < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def plain(text: str) -> str:
    """Return a text that is safe to show on a page, cut to `TEXT_LIMIT` characters."""
    return shown(text, TEXT_LIMIT)[0]


def rounded(value: Any, digits: int) -> float | None:
    """Return a rounded number for a script; None if the value is not a finite number."""
    known = isinstance(value, (int, float)) and math.isfinite(value)
    return round(float(value), digits) if known else None


def _text(folder: Folder, name: str) -> str:
    package, path = folder
    return (files(package) / path / name).read_text(encoding="utf-8")
