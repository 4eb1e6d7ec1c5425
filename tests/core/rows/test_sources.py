"""What a row says of the text that it was made of, and the way back."""

import pytest

from mergeit_ops.core.rows import sources

ROW = {"text": "Rye is a bread.", "url": "a", "n": 7}
WRITTEN = ("instruction", "input", "output")


def noted(**changes):
    told = {"status": "ok", "source": ROW["text"], "source_id": "1", "method": "instruction"}
    return sources.noted({"lang": "en"}, **{**told, **changes})


def test_metadata_of_others_stay_and_all_keys_are_there():
    meta = noted(model="m", prompt_sha256="p")
    assert meta["lang"] == "en"
    assert {key: meta[key] for key in sources.KEYS} == {
        "backtranslation_status": "ok",
        "backtranslation_source": "Rye is a bread.",
        "backtranslation_source_id": "1",
        "backtranslation_method": "instruction",
        "backtranslation_model": "m",
        "backtranslation_prompt_sha256": "p",
    }
    assert noted(status="too_short")["backtranslation_model"] is None


def test_a_row_can_be_put_back():
    new = {"url": "a", "n": 7, "instruction": "What is rye?", "input": "", "output": ROW["text"]}
    row, meta = sources.restored(new, noted(), text_key="text", written=WRITTEN)
    assert (row, meta) == (ROW, {"lang": "en"})


@pytest.mark.parametrize(("meta", "source"), [(noted(), ROW["text"]), (noted(source=None), ""), ({}, ""), (None, "")])
def test_the_source_is_a_text_where_there_is_one(meta, source):
    assert sources.source_of(meta) == source
