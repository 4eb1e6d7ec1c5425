"""The "and" baseline."""

from mergeit_ops.core.merging.concatenation import concatenate
from mergeit_ops.core.sample import Sample


def test_instructions_are_joined_with_and():
    merged = concatenate([Sample("Name a fruit.", "", "Apple"), Sample("Name a tree.", "", "Oak")])
    assert merged == Sample("Name a fruit and name a tree.", "", "Apple\n\nOak")


def test_inputs_stand_below_each_other_and_blank_ones_are_left_out():
    merged = concatenate([Sample("a", " ", "x"), Sample("b", "one", "y"), Sample("c", "two", "z")])
    assert (merged.instruction, merged.input, merged.output) == ("a and b and c", "one\n\ntwo", "x\n\ny\n\nz")


def test_acronyms_keep_their_capitals():
    assert concatenate([Sample("a", "", "x"), Sample("SQL for b", "", "y")]).instruction == "a and SQL for b"
    assert concatenate([Sample("a", "", "x"), Sample("I want b", "", "y")]).instruction == "a and I want b"
