"""The pages of the methods: every recipe and paper has a complete entry, and links have targets."""

import re

import pytest

from tests.conftest import REPOSITORY

PAGE = REPOSITORY / "docs" / "methods.md"
PAGES = [PAGE, *sorted((REPOSITORY / "docs" / "methods").glob("*.md"))]
LEADING_TO_THEM = [REPOSITORY / "README.md", REPOSITORY / "docs" / "own_scorer.md", REPOSITORY / "CHANGELOG.md"]
RECIPES = sorted((REPOSITORY / "recipes").rglob("*.yaml"))
COLUMNS = "| method | recipe | needs | cost for 50,000 rows | faithful or stand-in |"
ARXIV = re.compile(r"\b\d{4}\.\d{5}\b")


def sections(text):
    """Return the sections of a page that have a table of methods, by heading."""
    found = {part.partition("\n")[0]: part for part in re.split(r"(?m)^## ", text)}
    return {heading: part for heading, part in found.items() if COLUMNS in part}


SECTIONS = sections(PAGE.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_paper_that_the_head_of_a_recipe_names_is_on_the_page(path):
    head = path.read_text(encoding="utf-8").split("project_name")[0]
    assert set(ARXIV.findall(head)) <= set(ARXIV.findall(PAGE.read_text(encoding="utf-8")))


@pytest.mark.parametrize("heading", SECTIONS)
def test_every_method_of_a_table_has_a_note_with_its_source_preference_and_evidence(heading):
    body = SECTIONS[heading]
    rows = [line.strip("|").split("|") for line in body.splitlines() if line.startswith("| ")][1:]
    assert all(len(row) == 5 and all(cell.strip() for cell in row) for row in rows)
    notes = [" ".join(note.split()) for note in re.findall(r"(?ms)^- (\*\*.*?)(?=^- |^$)", body)]
    names = [re.match(r"\*\*(.+?)\*\*", note)[1] for note in notes]
    assert len(names) == len(rows) > 1
    assert all(row[0].strip().startswith(name) for row, name in zip(rows, names, strict=True))
    assert [name for name, note in zip(names, notes, strict=True) if "prefer" not in note] == []
    assert [name for name, note in zip(names, notes, strict=True) if "vidence" not in note] == []
    sourced = [
        ARXIV.search(note) or "same source" in note or name == "MinHash"
        for name, note in zip(names, notes, strict=True)
    ]
    assert all(sourced)


def test_every_method_of_the_survey_has_a_recipe_but_one():
    tables, _, unbuilt = PAGE.read_text(encoding="utf-8").partition("## Not built")
    assert "2308.12067" in unbuilt
    assert "2308.12067" not in tables
    assert "except InstructionGPT-4" in tables


def anchors(path):
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", path.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", [*PAGES, *LEADING_TO_THEM], ids=lambda path: path.stem)
def test_links_of_the_pages_and_to_them_lead_to_a_file_and_a_heading(path):
    links = re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8"))
    ours = [link for link in links if not link.startswith("http") and (path in PAGES or "methods" in link)]
    assert ours
    for link in ours:
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
