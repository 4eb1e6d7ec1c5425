"""`distill` through the command-line door, with the real embedding model."""

import json
import math

import pytest

from mergeit_ops.cli import main
from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers.distilled import CONFIG_FILE, WEIGHTS_FILE, DistilledScorer


@pytest.fixture
def scored(tmp_path, sample_rows):
    """Fifty rows whose score follows the length of the answer."""
    rows = [
        {
            "instruction": row["instruction"],
            "input": row["input"],
            "output": row["output"],
            "my_score": min(6.0, 1 + math.log1p(len(row["output"])) / 2),
            "kind": row["source"][:1],
        }
        for row in [row for row in sample_rows if len(row["output"]) < 250][:50]
    ]
    return write(tmp_path / "scored.jsonl", rows), rows


def write(file, rows):
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return file


def test_trains_a_folder_that_the_scorer_reads_and_prints_its_figures(tmp_path, scored, capsys):
    file, rows = scored
    folder = tmp_path / "my" / "scorer"
    assert main(["distill", "--scored", str(file), "--score-key", "my_score", "--output", str(folder)]) == 0
    printed = capsys.readouterr().out
    assert "NaN" not in (folder / CONFIG_FILE).read_text(encoding="utf-8")
    figures = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["metrics"]
    assert f"| all  | 50    | {figures['ranking']['all']['spearman']:.3f}" in printed
    assert "Spoiled answer" in printed
    assert "Trained on 50 rows; languages: en 100.0%; responses of " in printed
    assert json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))["trained_on"]["languages"] == {"en": 1.0}
    assert f"scorer_params: {{path: {folder}}}" in printed
    assert (folder / WEIGHTS_FILE).stat().st_size < 5_000_000
    samples = [Sample(row["instruction"], row["input"], row["output"]) for row in rows]
    scores = [score.value for score in DistilledScorer(path=str(folder)).score(samples)]
    shortest, *_, longest = sorted(range(len(rows)), key=lambda number: rows[number]["my_score"])
    assert scores[longest] > scores[shortest] + 0.5


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda row: {**row, "my_score": 9}, "line 1 has my_score 9, outside 1 to 6; rescale the scores first."),
        (lambda row: {k: v for k, v in row.items() if k != "my_score"}, "line 1 has no 'my_score'; it has"),
        (lambda row: {k: v for k, v in row.items() if k != "output"}, "line 1 has no 'output'; it has"),
        (lambda row: {**row, "output": ""}, "usable scored rows; at least 50 are needed."),
    ],
)
def test_rows_that_cannot_be_trained_on_are_one_sentence(tmp_path, scored, capsys, change, complaint):
    file = write(tmp_path / "bad.jsonl", map(change, scored[1]))
    code = main(["distill", "--scored", str(file), "--score-key", "my_score", "--output", str(tmp_path / "out")])
    assert code == 1
    assert complaint in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_file_for_an_output_and_a_missing_input_are_one_sentence(tmp_path, scored, capsys):
    file, _ = scored
    assert main(["distill", "--scored", str(file), "--score-key", "my_score", "--output", str(file)]) == 1
    assert "--output must be a folder to write weights to; " in capsys.readouterr().err
    assert main(["distill", "--scored", str(tmp_path / "none"), "--output", str(tmp_path / "out")]) == 1
    assert "could not be read" in capsys.readouterr().err
    assert main(["distill", "--scored", str(file), "--output", str(tmp_path / "out"), "--seed", "-1"]) == 1
    assert "--seed must be" in capsys.readouterr().err
