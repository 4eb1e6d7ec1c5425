"""Which texts a static model is fitted to."""

from mergeit_ops.embedding.static import distilling
from mergeit_ops.embedding.static.distilling import few_enough
from mergeit_ops.embedding.static.encoder import WINDOW_CHARACTERS


def test_texts_are_cut_to_a_window_and_each_counts_once():
    long = "a" * WINDOW_CHARACTERS
    assert few_enough(["b", long + "b", " ", "", long + "c", "b ", "d"]) == ["b", long, "d"]


def test_there_are_only_so_many_texts_and_characters(monkeypatch):
    monkeypatch.setattr(distilling, "MOST_TEXTS", 3)
    assert few_enough(map(str, range(10))) == ["0", "1", "2"]
    monkeypatch.setattr(distilling, "_MOST_CHARACTERS", 10)
    assert few_enough(["a" * 6, "b" * 4, "c"]) == ["a" * 6, "b" * 4]
    assert few_enough(["a" * 60, "b"]) == ["a" * 60]
