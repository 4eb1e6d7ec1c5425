"""Replies with tags: every form that models give is read, and nothing is made up."""

import json

import pytest

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.tags.replies import read_tags

LIST = '[{"tag": "poem writing", "explanation": "For [one] poem."}, {"tag": "autumn", "explanation": "Its {topic}."}]'
BOTH = ("poem writing", "autumn")

GOLDEN = {
    # A list is its tags, one object is one tag.
    LIST: BOTH,
    '{"tag": "poem writing", "explanation": "x"}': ("poem writing",),
    "[]": (),
    # What models put around it.
    f"```json\n{LIST}\n```": BOTH,
    f"Here are the tags:\n{LIST}\nI hope this helps.": BOTH,
    f"The tags [as JSON] of request [1]: {LIST}": BOTH,
    f'<think>[{{"tag": "guess"}}]?</think>\n{LIST}': BOTH,
    f"\ufeff {LIST}": BOTH,
    # Other forms of the same.
    '["poem writing", "autumn"]': BOTH,
    f'{{"tags": {LIST}}}': BOTH,
    '{"tag": "poem writing", "explanation": "x"}\n{"tag": "autumn", "explanation": "y"}': BOTH,
    '{"tag": "poem writing", "explanation": "x"}, {"tag": "autumn", "explanation": "y"}': BOTH,
    # Nearly JSON.
    "[{'tag': 'poem writing', 'explanation': 'x'}, {'tag': 'autumn', 'explanation': 'y'}]": BOTH,
    '[{"tag": "poem writing", "explanation": "x",}, {"tag": "autumn", "explanation": "y"},]': BOTH,
    '[{"tag": "poem writing", "explanation": "a "good" one"}, {"tag": "autumn", "explanation": "y"}]': BOTH,
    # Each once, without those that say nothing, in the order of the reply.
    '["b", "a ", "b", " ", "...", "a\\n c"]': ("b", "a", "a c"),
    '[{"tag": "诗歌写作", "explanation": "写"}]': ("诗歌写作",),
}

UNREADABLE = {
    "": "empty",
    " \n": "empty",
    '<think>[{"tag": "a"}]': "empty",
    "I'm sorry, but I cannot help with this request.": "refused",
    "poem writing, autumn": "unparsable",
    # Cut off: what is there is not all.
    LIST[:-1]: "unparsable",
    LIST[: LIST.index("autumn")]: "unparsable",
    LIST[: LIST.index("]") + 1]: "unparsable",
    '{"tags": ["a", "b"': "unparsable",
    # An element that is no tag, or something else than tags.
    '["a", 2]': "unparsable",
    '[{"name": "a"}]': "unparsable",
    '[{"tag": null}]': "unparsable",
    # The form that the prompt shows.
    '[{"tag": "...", "explanation": "..."}]': "unparsable",
    '[{"tag": "...", "explanation": "..."}, ...]': "unparsable",
    '[["a"]]': "unparsable",
    '{"tags": {"a": 1}, "more": 2}': "unparsable",
    "17": "unparsable",
    "null": "unparsable",
    # Which one is meant?
    f"{LIST}\nor rather\n{LIST.replace('autumn', 'winter')}": "unparsable",
    '{"tag": "a"} or rather {"tag": "b"}': "unparsable",
    '["\\ud800"]': "unparsable",
    "[" * 100_000: "unparsable",
    "[" + '{"tag": "a"},' * 100_000: "unparsable",
}


@pytest.mark.parametrize(("reply", "tags"), GOLDEN.items())
def test_the_tags_of_a_reply_are_read(reply, tags):
    assert read_tags(reply) == tags


@pytest.mark.parametrize(("reply", "reason"), UNREADABLE.items(), ids=lambda text: text[:20])
def test_what_cannot_be_read_has_a_reason(reply, reason):
    with pytest.raises(ReplyError) as error:
        read_tags(reply)
    assert str(error.value.reason) == reason


def test_a_reply_cut_off_anywhere_is_never_read_as_a_shorter_list():
    for end in range(1, len(LIST)):
        with pytest.raises(ReplyError):
            read_tags(LIST[:end])


def test_a_long_list_is_read():
    tags = [f"tag {number}" for number in range(5_000)]
    assert read_tags(json.dumps([{"tag": tag, "explanation": "x"} for tag in tags])) == tuple(tags)
