"""Samples that overlap with a benchmark are found, shown and dropped."""

from __future__ import annotations

from collections import Counter

import pytest

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import EmbeddingError, RecipeError
from mergeit_ops.ops import DecontaminationFilter
from tests.planted_benchmark import KINDS, benchmark_rows, planted_rows
from tests.recipe_runs import make_dataset, write_jsonl


@pytest.fixture(scope="module")
def benchmark(sample_rows, tmp_path_factory):
    return str(write_jsonl(tmp_path_factory.mktemp("benchmark") / "bench.jsonl", benchmark_rows(sample_rows)))


@pytest.fixture(scope="module")
def found(sample_rows, benchmark):
    """The planted rows, each with what was found, by kind."""
    marked = list(DecontaminationFilter(benchmark, action="mark").run(make_dataset(planted_rows(sample_rows))))
    return {kind: [row[STATS] for row in marked if row["kind"] == kind] for kind in KINDS}


def test_recall_and_precision_by_ngrams_by_similarity_and_together(found):
    """The figures of docs/decontamination.md."""

    def caught(*evidence: str) -> dict[str, int]:
        return {kind: sum(stats["contamination_status"] in evidence for stats in found[kind]) for kind in KINDS}

    assert caught("ngram", "both") == {"verbatim": 12, "near copy": 2, "paraphrase": 0, "near miss": 0}
    assert caught("similarity", "both") == {"verbatim": 12, "near copy": 12, "paraphrase": 1, "near miss": 0}
    assert caught("ngram", "similarity", "both") == caught("similarity", "both")


def test_the_evidence_names_the_row_of_the_benchmark_and_the_words(found):
    first = found["verbatim"][0]
    assert first["contamination_source"] == "bench.jsonl:1"
    assert first["contamination_excerpt"] == "why does iron rust and gold does not"
    assert first["contamination_ngram"] == 1.0
    assert first["contamination_similarity"] > 0.99
    alike = found["near copy"][0]
    assert alike["contamination_status"] == "similarity"
    assert alike["contamination_source"] == "bench.jsonl:1"
    assert alike["contamination_excerpt"] == "Why does iron rust and gold does not?"
    assert not {"contamination_source", "contamination_excerpt"} & found["near miss"][0].keys()


def by_ngrams(benchmark, **more):
    return DecontaminationFilter(benchmark, max_similarity=None, **more)


def test_rows_are_dropped_and_the_record_names_them(tmp_path, sample_rows, benchmark):
    rows = [row | {META: {"row_id": f"id{number}"}} for number, row in enumerate(planted_rows(sample_rows))]
    kept = by_ngrams(benchmark, work_dir=str(tmp_path)).run(make_dataset(rows))
    assert Counter(kept["kind"]) == {"near copy": 10, "paraphrase": 12, "near miss": 12}
    (record,) = read_manifests(tmp_path)
    kept_ids = {meta["row_id"] for meta in kept[META]}
    assert record["dropped"] == [row[META]["row_id"] for row in rows if row[META]["row_id"] not in kept_ids]
    assert record["figures"]["contaminated"] == {"ngram": 14}
    assert record["figures"]["contaminated_by_file"] == {"bench.jsonl": 14}
    assert record["hits"][0]["contamination_source"] == "bench.jsonl:1"
    assert record["role"]["may_drop"]
    assert not by_ngrams(benchmark, action="mark").role["may_drop"]


def test_a_share_of_the_ngrams_may_be_allowed(sample_rows, benchmark):
    kept = by_ngrams(benchmark, max_ngram_overlap=0.9).run(make_dataset(planted_rows(sample_rows)))
    assert Counter(kept["kind"])["near copy"] == 12
    assert Counter(kept["kind"])["verbatim"] == 0


def test_an_answer_of_the_benchmark_counts_as_well(sample_rows, benchmark):
    answer = benchmark_rows(sample_rows)[0]["output"]
    rows = [{"instruction": "Something else?", "input": "", "output": f"Well: {answer}"}]
    assert len(by_ngrams(benchmark).run(make_dataset(rows))) == 0


def test_embeddings_that_rows_bring_are_used_and_must_have_the_same_width(sample_rows, benchmark):
    row = planted_rows(sample_rows)[3]
    with pytest.raises(EmbeddingError, match=r"width 2, and those of the benchmarks have 384; set embedding_model"):
        DecontaminationFilter(benchmark).run(make_dataset([row | {EMBEDDING: [0.6, 0.8]}]))
    # Without similarity nobody looks at them.
    assert len(by_ngrams(benchmark).run(make_dataset([row | {EMBEDDING: [0.6, 0.8]}]))) == 1


def test_looking_at_stats_drops_nothing_and_quotes_nothing(sample_rows, benchmark):
    looking = by_ngrams(benchmark)
    looking.process = None  # as Data-Juicer's analyzer does
    looked = looking.run(make_dataset(planted_rows(sample_rows)))
    assert len(looked) == 48
    assert "contamination_excerpt" not in looked[0][STATS]


def test_rows_that_only_similarity_can_find_are_counted(tmp_path, lines):
    (tmp_path / "short.txt").write_text("Why?\nWhat is the capital of France?\n", encoding="utf-8")
    by_ngrams(str(tmp_path / "short.txt")).run(make_dataset([{"instruction": "a", "input": "", "output": "b"}]))
    assert any("1 of 2 rows of the benchmarks is too short" in line for line in lines)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "paths must be a path, or a list of paths, got None"),
        ({"paths": []}, "paths must be a path, or a list of paths, got"),
        ({"paths": "none.jsonl"}, "paths cannot be used: none.jsonl cannot be read"),
        ({"paths": "x", "max_ngram_overlap": None, "max_similarity": None}, "set max_ngram_overlap or max_similarity"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, sentence):
    with pytest.raises(RecipeError, match=f"decontamination_filter: {sentence}"):
        DecontaminationFilter(**parameters)
