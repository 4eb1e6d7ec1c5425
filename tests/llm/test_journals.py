"""Which journal a run keeps its answers in."""

import pytest

from mergeit_ops.llm.journal import ANSWERS_FILE, Journal, default_cache_path
from mergeit_ops.llm.journals import journal_place, open_journal, share_journals


@pytest.fixture(autouse=True)
def own_journals():
    yield
    share_journals(None)


def test_a_recipe_names_a_file_a_folder_or_none(tmp_path):
    for name, at in ((str(tmp_path / "a.sqlite"), tmp_path / "a.sqlite"), ("auto", default_cache_path())):
        journal = open_journal(name)
        journal.put("k", "text")
        journal.close()
        assert journal_place(name) == str(at)
        assert at.exists()
    nowhere = open_journal(None)
    nowhere.put("k", "text")
    assert nowhere.get("k") is None


def test_looking_makes_no_file(tmp_path):
    journal = open_journal(str(tmp_path / "a.sqlite"), create=False)
    assert journal.get("k") is None
    journal.close()
    assert list(tmp_path.glob("*.sqlite")) == []


def test_a_worker_asks_for_the_journal_of_its_driver_unless_there_is_none(tmp_path):
    asked = []

    def opener(place, create, file_name):
        asked.append((place, create, file_name))
        return Journal(None)

    share_journals(opener)
    open_journal("auto", create=False)
    open_journal(None)
    assert asked == [("auto", False, ANSWERS_FILE)]
    share_journals(None)
    assert isinstance(open_journal(str(tmp_path / "b.sqlite")), Journal)
    assert len(asked) == 1
