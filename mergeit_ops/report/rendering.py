"""Pages that need nothing beside themselves: one frame, one look, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from mergeit_ops.report.text import TEXT_LIMIT, as_script_data, shown

__all__ = ["count", "figure", "percent", "plain", "render", "seconds"]

_SHARED = ("mergeit_ops.report", "assets")


def render(
    template: str, context: Mapping[str, Any], data: Any, scripts: Sequence[tuple[str, str]], package: str = _SHARED[0]
) -> str:
    """Return a page.

    :param template: a file among the assets that extends `page.html`.
    :param context: what its names stand for.
    :param data: for its scripts; what JSON can hold.
    :param scripts: package and file name of each script, after `plots.js`, which all pages share.
    :param package: with the assets of the template.
    """
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    environment = Environment(
        loader=ChoiceLoader([PackageLoader(package, _SHARED[1]), PackageLoader(*_SHARED)]),
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
    around = {
        "version": version("mergeit-ops"),
        "css": Markup(_asset(_SHARED[0], "report.css")),
        "script": Markup("".join(_asset(*script) for script in ((_SHARED[0], "plots.js"), *scripts))),
        "plotly": Markup(get_plotlyjs()),
        "data": Markup(as_script_data(data)),
    }
    return environment.get_template(template).render({**around, **context})


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
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600:,} h {whole % 3600 // 60:02d} min"


def plain(text: str) -> str:
    """Return a text as a page may show it."""
    return shown(text, TEXT_LIMIT)[0]


def _asset(package: str, name: str) -> str:
    return (files(package) / _SHARED[1] / name).read_text(encoding="utf-8")
