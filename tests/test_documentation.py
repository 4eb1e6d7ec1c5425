"""The documentation works: links have targets, and commands and recipes exist."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import yaml

from mergeit_ops.cli import _COMMANDS
from mergeit_ops.cli.terminal import Parser
from mergeit_ops.core.selection.method import Pool
from scripts.parameter_tables import operators
from tests.conftest import REPOSITORY

PAGES = sorted(
    [*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").rglob("*.md"), *(REPOSITORY / "recipes").rglob("*.md")]
)
GUIDES = [path for path in PAGES if path.name != "CHANGELOG.md" and path.parent.name != "operators"]
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
every_guide = pytest.mark.parametrize("page", GUIDES, ids=lambda path: str(path.relative_to(REPOSITORY)))

_FENCE = re.compile(r"^ *(```+|~~~+)(\w*)\n(.*?)^ *\1", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, language: str) -> list[str]:
    return [body for _, name, body in _FENCE.findall(text_of(page)) if name == language]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    prose = _FENCE.sub("", text_of(page))
    titles = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", prose, re.MULTILINE))
    return {re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-") for title in titles}


@every_page
def test_every_link_leads_somewhere(page):
    broken = []
    for link in _LINK.findall(_FENCE.sub("", text_of(page))):
        path, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page if not path else (page.parent / path).resolve()
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme():
    seen, todo = set(), [REPOSITORY / "README.md"]
    while todo:
        page = todo.pop()
        if page in seen:
            continue
        seen.add(page)
        links = (link.partition("#")[0] for link in _LINK.findall(text_of(page)) if "://" not in link)
        todo += [path for link in links if link and (path := (page.parent / link).resolve()).suffix == ".md"]
    pages = {*(REPOSITORY / "docs").rglob("*.md"), REPOSITORY / "CHANGELOG.md", REPOSITORY / "CONTRIBUTING.md"}
    assert pages - seen == set()


def test_the_readme_is_short_and_names_the_proof_and_the_licence_early():
    text = text_of(REPOSITORY / "README.md")
    assert len(text.splitlines()) <= 220
    assert len(text.split()) <= 2_500
    beginning = "\n".join(text.splitlines()[:70])
    assert "python -m mergeit_ops verify" in beginning
    assert "CC BY-NC" in beginning


@pytest.mark.parametrize("page", ["README.md", "docs/start.md"])
def test_who_installs_is_told_how_to_get_the_clone_first(page):
    first = blocks(REPOSITORY / page, "bash")[0]
    assert first.startswith("git clone ")
    assert "make quickstart" in first


def commands(page: Path) -> list[list[str]]:
    """Return the shell commands of a page as words, without comments, pipes and variable assignments."""
    found = []
    for body in blocks(page, "bash"):
        for line in body.replace("\\\n", " ").splitlines():
            for part in re.split(r"\s(?:&&|\|\||\||;)\s", f"{line} "):
                words = shlex.split(part, comments=True)
                while words and "=" in words[0]:
                    words = words[1:]
                if words:
                    found.append(words)
    return found


@every_guide
def test_commands_of_the_package_are_known_with_all_their_options(page):
    known = {command.NAME: command for command in _COMMANDS}
    for words in commands(page):
        if words[:3] != ["python", "-m", "mergeit_ops"] or len(words) < 4 or words[3].startswith("-"):
            continue
        parser = Parser(prog=words[3])
        known[words[3]].add_arguments(parser)
        words = [word for word in words[4:] if word not in ("...", "[...]")]
        if not any(word.startswith("[") for word in words):
            parser.parse_args(words)


@every_guide
def test_recipes_and_parameters_of_commands_are_there(page):
    made = operators()
    for words in commands(page):
        if words[0] not in ("dj-process", "dj-analyze"):
            continue
        recipe = words[words.index("--config") + 1]
        assert (REPOSITORY / recipe).is_file() or not recipe.startswith("recipes/"), recipe
        for word in words:
            if found := re.fullmatch(r"--(\w+)\.(\w+)(?:\.[\w.]+)?(?:=.*)?", word):
                operator, parameter = found.groups()
                assert parameter in {*made[operator]._constraints, "num_proc", "accelerator", "num_gpus"}, word


@every_guide
def test_operators_and_parameters_in_recipes_are_there(page):
    made = operators()
    for body in blocks(page, "yaml"):
        read = yaml.safe_load(body)
        steps = read.get("process", [read] if set(read) & set(made) else []) if isinstance(read, dict) else read
        for step in steps or []:
            for name, parameters in step.items() if isinstance(step, dict) else ():
                if name in made and isinstance(parameters, dict):
                    shared = {"num_proc", "accelerator", "num_gpus", "num_cpus", "skip_op_error"}
                    assert set(parameters) <= {*made[name]._constraints, *shared}, (name, parameters)


@every_guide
def test_files_that_commands_run_are_there(page):
    for words in commands(page):
        if words[0] == "python" and len(words) > 1 and words[1].endswith(".py"):
            folder = words[1].split("/")[0]
            assert (REPOSITORY / words[1]).is_file() or folder not in ("benchmarks", "scripts", "tests"), words[1]
        if words[:2] == ["python", "-m"] and words[2].split(".")[0] in ("scripts", "tests", "benchmarks"):
            assert (REPOSITORY / f"{words[2].replace('.', '/')}.py").is_file(), words[2]
        if words[0] == "make":
            targets = re.findall(r"^([\w.\-/$()]+):", text_of(REPOSITORY / "Makefile"), re.MULTILINE)
            assert words[1].replace(".venv/", "$(VENV)/") in targets, words[1]


def test_the_method_for_contributors_works_as_it_stands(monkeypatch):
    (body,) = blocks(REPOSITORY / "CONTRIBUTING.md", "python")
    module = ModuleType("nearest_to_mean")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(body, module.__dict__)
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
    assert module.NearestToMean().select(Pool(vectors), 2).indices.tolist() == [1, 0]
