"""Hook for mkdocs that adds linked files from outside `docs` to the site, and rewrites the links to them.

On GitHub a page links to `../recipes/select_only.yaml`, which is outside the folder that mkdocs reads. In the site,
each file of the repository keeps its path, except files in `docs`, which move one folder up.
"""

from __future__ import annotations

import os
import posixpath
import re
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]

_RENAMED = {"README.md": "index.md", "docs/README.md": "guides.md"}
_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")
_FENCE = re.compile(r"^ *(```+|~~~+).*?^ *\1", re.MULTILINE | re.DOTALL)


def site_path(path: str) -> str:
    """Return the path of a repository file in the site."""
    return _RENAMED.get(path, path.removeprefix("docs/"))


def links_of(path: str) -> list[str]:
    """Return the repository files to which a page links."""
    text = _FENCE.sub("", (REPOSITORY / path).read_text(encoding="utf-8"))
    found = [posixpath.normpath(posixpath.join(posixpath.dirname(path), link[1])) for link in _LINK.findall(text)]
    return [link for link in dict.fromkeys(found) if (REPOSITORY / link).is_file()]


def reachable() -> list[str]:
    """Return all repository files that can be reached by links from the README."""
    seen: dict[str, None] = {}
    todo = ["README.md"]
    while todo:
        path = todo.pop()
        if path not in seen:
            seen[path] = None
            todo += links_of(path) if path.endswith(".md") else []
    return list(seen)


def rewritten(text: str, path: str) -> str:
    """Return the text of a page with its links rewritten for the site.

    :param text: text of the page in Markdown.
    :param path: path of the page in the repository.
    """

    def moved(match: re.Match[str]) -> str:
        opening, link, anchor, closing = match.groups()
        target = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
        if "://" in link or not (REPOSITORY / target).exists():
            return match[0]
        if (REPOSITORY / target).is_dir():
            return match[0].replace(opening, "`").replace(closing, "`")
        new = posixpath.relpath(site_path(target), posixpath.dirname(site_path(path)) or ".")
        return f"{opening}{new}{anchor or ''}{closing}"

    parts, last = [], 0
    for fence in _FENCE.finditer(text):
        parts += [_LINK.sub(moved, text[last : fence.start()]), fence[0]]
        last = fence.end()
    return "".join([*parts, _LINK.sub(moved, text[last:])])


def on_files(files: Any, config: Any) -> Any:
    """Add the files outside `docs`, and rename the two that have another name in the site."""
    from mkdocs.structure.files import File

    if (old := files.get_file_from_path("README.md")) is not None:
        files.remove(old)
    for path in reachable():
        if not path.startswith("docs/") or path in _RENAMED:
            files.append(File.generated(config, site_path(path), abs_src_path=os.fspath(REPOSITORY / path)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Rewrite the links of a page."""
    return rewritten(markdown, Path(page.file.abs_src_path).relative_to(REPOSITORY).as_posix())
