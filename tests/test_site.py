"""The documentation site: every page is in its navigation, and links in the repository lead to pages of the site."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scripts.site_pages import reachable, rewritten, site_path
from tests.conftest import REPOSITORY


def settings() -> dict[str, Any]:
    return yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text(encoding="utf-8"))


def paths(nav: Any) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for part in nav.values() if isinstance(nav, dict) else nav:
            yield from paths(part)


def test_every_page_is_in_the_navigation_once():
    listed = list(paths(settings()["nav"]))
    assert len(listed) == len(set(listed))
    assert set(listed) == {site_path(path) for path in reachable() if path.endswith(".md")}
    ours = {path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "docs").rglob("*.md")}
    assert {site_path(path) for path in ours} <= set(listed)


@pytest.mark.parametrize(
    ("page", "link", "found"),
    [
        ("README.md", "docs/verify.md", "verify.md"),
        ("README.md", "docs/README.md", "guides.md"),
        ("docs/verify.md", "report.md#size", "report.md#size"),
        ("docs/verify.md", "../README.md", "index.md"),
        ("docs/recipes.md", "../recipes/select_only.yaml", "recipes/select_only.yaml"),
        ("docs/methods/judges.md", "../operators/quality_gate_filter.md", "../operators/quality_gate_filter.md"),
        ("docs/methods/judges.md", "../../recipes/methods/lift.yaml", "../recipes/methods/lift.yaml"),
        ("CONTRIBUTING.md", "docs/methods.md", "methods.md"),
        ("docs/verify.md", "https://example.org/docs/x.md", "https://example.org/docs/x.md"),
        ("docs/verify.md", "not/there.md", "not/there.md"),
    ],
)
def test_a_link_leads_to_the_place_of_its_file_in_the_site(page, link, found):
    assert rewritten(f"see [it]({link}).", page) == f"see [it]({found})."


def test_code_is_left_as_it_is():
    text = "```\n[it](docs/verify.md)\n```\n[it](docs/verify.md)"
    assert rewritten(text, "README.md") == "```\n[it](docs/verify.md)\n```\n[it](verify.md)"
