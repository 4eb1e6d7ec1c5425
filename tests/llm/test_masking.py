"""Secrets are hidden wherever a server repeats them."""

import base64
from urllib.parse import quote

import pytest

from mergeit_ops.llm.masking import masking, proxy_secrets, unmasked


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        ("key pa/ss word!", "key ***!"),
        (f"key {quote('pa/ss word', safe='')}!", "key ***!"),
        ("pa/ss wor", "pa/ss wor"),
        ("pa/s\ns wo\r\n rd", "***"),
        ("p\u200ba/ss word and pa/ss word", "*** and ***"),
    ],
)
def test_a_secret_is_masked_as_it_is_encoded_or_broken_into_lines(text, shown):
    assert masking(["pa/ss word"])(text) == shown


def test_of_two_secrets_the_longer_one_is_masked_whole():
    assert masking(["abcd", "abcdefgh"])("abcdefgh abcd") == "*** ***"


@pytest.mark.parametrize("secrets", [[], [""], ["abc"], ["", "xyz"]])
def test_short_secrets_are_none(secrets):
    assert masking(secrets) is unmasked
    assert unmasked("abc") == "abc"


def test_characters_that_mean_something_in_a_pattern_are_themselves():
    mask = masking(["a.*b+(", "münch"])
    assert mask("a.*b+( axxb+( münch m%C3%BCnch") == "*** axxb+( *** ***"


@pytest.mark.parametrize(
    ("url", "secrets"),
    [
        ("http://proxy:3128", set()),
        ("http://me:hun%40ter@proxy:3128", {"hun%40ter", "hun@ter", encoded("me:hun@ter")}),
        ("http://me:p@ss@proxy:3128", {"p@ss", encoded("me:p@ss")}),
        # A token in the place of a name, or with an empty password, is sent with a colon behind it.
        ("http://tok%2Fen@proxy:3128", {"tok%2Fen", "tok/en", encoded("tok/en:")}),
        ("http://token:@proxy:3128", {"token", encoded("token:")}),
        ("http://:password@proxy:3128", {"password", encoded(":password")}),
        ("", set()),
    ],
)
def test_an_address_holds_its_password_and_what_is_sent(url, secrets):
    assert set(proxy_secrets(url)) == secrets


def test_what_the_http_library_sends_is_masked():
    import httpx

    for url in ("http://token@proxy:3128", "http://token:@proxy:3128", "http://me:hun%40ter@proxy:3128"):
        sent = httpx.Proxy(url).raw_auth
        assert sent is not None
        value = base64.b64encode(b":".join(sent)).decode("ascii")
        assert masking(proxy_secrets(url))(f"Basic {value}") == "Basic ***"
