"""The parts of a run that the conservation law speaks of, from its records."""

from mergeit_ops.runs.recipe_steps import FLATTENER, GATE, MERGER, SELECTOR
from mergeit_ops.runs.records import Records
from mergeit_ops.runs.stages import stages_of


def merger(entered, merges=None, **more):
    record = {"operator": "merge", "role": {"kind": MERGER}, "entered": entered, **more}
    return record if merges is None else record | {"merges": merges}


def gate(entered, left, accepted=None, restored=None, dropped=()):
    return {
        "operator": "gate",
        "role": {"kind": GATE},
        "entered": entered,
        "left": left,
        "accepted": accepted or {},
        "restored": restored or {},
        "dropped": list(dropped),
    }


def known(*parents, text="t", **more):
    return {"parents": list(parents), "text": text, **more}


def stages(*operators, **more):
    return stages_of(Records(operators, **more))


def test_parents_leave_a_merger_inside_their_merge():
    (stage,) = stages(merger(["a", "b", "c"], {"m": known("a", "b")}))
    assert stage.left == ("c", "m")
    assert stage.whereabouts == {"c": None, "a": "m", "b": "m"}
    assert stage.units(["m", "c"]) == ["a", "b", "c"]
    assert set(stage.standing) == {"m"}
    assert (stage.verb, stage.verb_of(2), stage.merges_rows) == ("entered the merger", "entered the merger", True)


def test_a_gate_gives_parents_back_and_drops_rows():
    records = (
        merger(["a", "b", "c", "d"], {"m": known("a", "b")}),
        gate(["c", "d", "m"], ["a", "b", "c"], {}, {"m": ["a", "b"]}, "d"),
    )
    (stage,) = stages(*records)
    assert stage.left == ("a", "b", "c")
    assert stage.standing == {}
    assert (stage.rejected, stage.given_back) == ({"m"}, {"a", "b"})
    assert stage.of_gates("dropped") == ["d"]
    assert stage.units(["m"]) == ["a", "b"]


def test_an_accepted_merge_keeps_what_the_merger_noted_unless_its_text_changed():
    noted = known("a", "b", row="r")
    for text, row in (("t", "r"), ("another answer", None)):
        (stage,) = stages(merger(["a", "b"], {"m": noted}), gate(["m"], ["m"], {"m": known("a", "b", text=text)}))
        assert (stage.merges["m"].text, stage.merges["m"].row) == (text, row)


def test_derived_columns_and_inexact_ones_are_known_of_each_merge():
    record = merger(["a"], {"m": known("a")}, inexact=["n"], parameters={"derived_columns": {"text": "x"}})
    (stage,) = stages(record)
    assert (stage.merges["m"].inexact, stage.merges["m"].derived) == ({"n"}, {"text"})


def test_each_merger_is_a_stage_with_its_gates():
    first, second = stages(merger(["a"]), gate(["a"], ["a"]), merger(["a"]), gate(["a"], []), gate([], []))
    assert (len(first.gates), len(second.gates)) == (1, 2)
    assert second.left == ()


def test_a_gate_without_a_record_leaves_the_end_open():
    (stage,) = stages(
        merger(["a"]), process=("merge", "gate"), roles={"merge": {"kind": MERGER}, "gate": {"kind": GATE}}
    )
    assert stage.is_open
    assert stage.left is None


def test_gates_without_a_merger_judge_merges_that_the_dataset_brings():
    (stage,) = stages(gate(["m", "c"], ["a", "b", "c"], {}, {"m": ["a", "b"]}))
    assert (stage.kind, stage.entered, stage.tells_merges) == (GATE, ("a", "b", "c"), True)


def test_without_merger_and_gate_the_flattener_or_the_selector_is_checked():
    flattened = {"operator": "flat", "role": {"kind": FLATTENER}, "left": ["a"]}
    picked = {"operator": "pick", "role": {"kind": SELECTOR}}
    assert [stage.kind for stage in stages(picked, flattened)] == [FLATTENER]
    assert stages(flattened)[0].left == ("a",)
    (selected,) = stages(picked)
    assert (selected.kind, selected.left, selected.verb_of(2)) == (SELECTOR, None, "were selected")
    assert selected.verb_of(1) == "was selected"
    (nothing,) = stages()
    assert (nothing.kind, nothing.entered, nothing.left) == (MERGER, None, None)


def test_a_gate_that_saw_no_merged_row_is_a_plain_filter():
    plain = {"operator": "gate", "role": {"kind": GATE}}
    roles = {"gate": {"kind": GATE}}
    (stage,) = stages(plain, process=("gate",), roles=roles)
    assert (stage.kind, stage.entered, stage.verb_of(0)) == ("", None, "were kept")
    # A second gate that has no record may have seen some.
    (stage,) = stages(plain, process=("gate", "gate"), roles=roles)
    assert stage.kind == MERGER
