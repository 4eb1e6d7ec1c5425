"""The table of an experiment."""

from __future__ import annotations

from mergeit_ops.training.summary import Power
from mergeit_ops.training.table import as_table, power_in_words
from tests.training.test_summary import found


def test_every_set_and_control_has_its_figures_and_verdict(tmp_path):
    done = found(tmp_path)
    lines = as_table(done).splitlines()
    good = next(line for line in lines if line.startswith("good "))
    interval = done.sets[0].measured.differences["token"]
    assert f"{interval.estimate:+.4f}* ({interval.low:+.4f} to {interval.high:+.4f})" in good
    assert any(line.startswith("half the answers swapped") for line in lines)
    assert f"good: {done.sets[0].verdict.sentence}" in lines
    same = next(line for line in lines if line.startswith("same "))
    assert "*" not in same


def test_unfinished_experiments_say_so(tmp_path):
    text = as_table(found(tmp_path, draws=1))
    assert "*" not in text.split("intervals")[0].replace("* where", "")
    assert "Cannot tell" in text


def test_power_in_words():
    assert power_in_words(Power(0.0123, 7, 100)) == "detects 0.0123; 0.005 takes 7 draws"
    assert power_in_words(Power(0.0123, None, 1234)) == "detects 0.0123; 0.005 takes 1,234 held-out rows"
