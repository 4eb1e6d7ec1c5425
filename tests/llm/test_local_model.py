"""What a local model writes: the same alone and in a batch, and no longer than it may."""

from __future__ import annotations

import pytest

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.llm.failures import CallFailedError
from mergeit_ops.llm.local_model import StoppedError
from mergeit_ops.llm.local_sampling import LocalSampling
from tests.llm.local_models import GREEDY, MERGES, generate, user

torch = pytest.importorskip("torch")


transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.usefixtures("nothing_loaded")


def test_greedy_answers_are_those_of_plain_generation(rambler, rambler_folder):
    tokenizer = transformers.AutoTokenizer.from_pretrained(rambler_folder)
    plain = transformers.AutoModelForCausalLM.from_pretrained(rambler_folder, dtype=torch.float32)
    ids = tokenizer("<user>abc<assistant>", return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        expected = plain.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=12, do_sample=False)
    (ours,) = generate(rambler, ["abc"], GREEDY | {"max_tokens": 12})
    assert ours.text == tokenizer.decode(expected[0, ids.shape[1] :], skip_special_tokens=True)
    assert ours.prompt_tokens == ids.shape[1]


@pytest.mark.parametrize(
    "params", [GREEDY, {"temperature": 1.5, "seed": 7}, {"temperature": 0.9, "top_k": 9, "seed": 1}]
)
def test_an_answer_does_not_depend_on_its_batch(rambler, params):
    params = params | {"max_tokens": 12}
    texts = ["a", "a much longer prompt than the first one", "middle one"]
    alone = [generate(rambler, [text], params)[0] for text in texts]
    assert generate(rambler, texts, params) == alone


def test_without_a_seed_answers_of_one_batch_differ(rambler):
    answers = generate(rambler, ["abc"] * 4, {"temperature": 1.5, "max_tokens": 12})
    assert len({answer.text for answer in answers}) == 4


def test_a_cut_off_answer_is_truncated(rambler):
    (completion,) = generate(rambler, ["abc"], GREEDY | {"max_tokens": 3})
    assert (completion.finish_reason, completion.completion_tokens) == ("length", 3)
    assert completion.problem is FailureReason.TRUNCATED


def test_each_row_of_a_batch_has_its_own_limit_and_ends_by_itself(rambler, parrot):
    prompts = [rambler.prompt(user("abc"), LocalSampling(temperature=0, max_tokens=n)) for n in (2, 5, 9)]
    assert [answer.completion_tokens for answer in rambler.generate(prompts)] == [2, 5, 9]
    (answer,) = generate(parrot, ["abc"], GREEDY | {"max_tokens": 50})
    assert (answer.finish_reason, answer.problem) == ("stop", None)
    assert answer.text in {"".join(pieces) for pieces in MERGES}
    assert answer.completion_tokens == len(MERGES[0]) + 1


def test_an_answer_longer_than_its_whole_prompt_is_cut_unless_the_recipe_says_otherwise(rambler):
    (answer,) = generate(rambler, ["abc"], GREEDY)
    assert answer.completion_tokens == answer.prompt_tokens == len("<user>abc") + 1


def test_stop_texts_end_an_answer_and_are_no_part_of_it(parrot):
    (answer,) = generate(parrot, ["abc"], GREEDY | {"stop": ["both", "never"]})
    assert answer.text.endswith((" ", "Explain", "Compare", "List"))
    assert (answer.finish_reason, "both" in answer.text) == ("stop", False)


def test_a_prompt_that_leaves_no_room_is_refused_and_never_cut(rambler):
    with pytest.raises(CallFailedError, match="516 tokens leaves no room in the model's context of 512"):
        rambler.prompt(user("x" * 509), LocalSampling())
    nearly = rambler.prompt(user("x" * 460), LocalSampling())
    assert (len(nearly.ids), nearly.limit) == (467, 45)


def test_a_stopped_batch_is_given_up_at_once(parrot):
    prompt = parrot.prompt(user("x"), LocalSampling(temperature=0, max_tokens=10_000, min_tokens=10_000))
    asked = 0

    def is_stopped() -> bool:
        nonlocal asked
        asked += 1
        return asked > 10

    with pytest.raises(StoppedError):
        parrot.generate([prompt], is_stopped)
    assert asked == 11
