"""What a body is that should have been JSON."""

import time

import pytest

from mergeit_ops.llm.masking import masking, unmasked
from mergeit_ops.llm.non_json import non_json, web_page


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("<!DOCTYPE html><html><head><title>Log  in</title></head>", "Log in"),
        ("\n<!-- a --><!-- b --><HTML><h1>502 <b>Bad</b> Gateway</h1>", "502 Bad Gateway"),
        ('<?xml version="1.0"?>\n<html><title>A &amp; B</title>', "A & B"),
        ("<html><title>a\x1b[31m\u202eb</title>", "a[31mb"),
        (f"<html><title>{'a' * 500}</title>", "a" * 120),
    ],
)
def test_a_page_is_named_by_its_title(text, title):
    assert web_page(text, unmasked) == f"an HTML page titled {title!r}"
    assert "leads to a web page or a login" in non_json(text, unmasked)


@pytest.mark.parametrize("text", ["<html>", "<body><p>x</p>", "<html><title> </title>"])
def test_a_page_without_a_title_is_a_page(text):
    assert web_page(text, unmasked) == "an HTML page"


def test_a_secret_that_a_page_repeats_is_hidden():
    assert web_page("<title>hun-ter2!</title>", masking(["hun-ter2"])) == "an HTML page titled '***!'"


@pytest.mark.parametrize(
    "text",
    ['data: {"a": 1}\n\n', "event: message\ndata: x", ": comment", '{"a": 1}\n{"a": 2}', ' {"a":\n1}\n\n{"a": 2}'],
)
def test_a_stream_is_told_by_its_look(text):
    assert web_page(text, unmasked) is None
    assert "streams its answer" in non_json(text, unmasked)


@pytest.mark.parametrize("text", ["", " ", "Not found", "<p>x</p>", '{"a": 1', "datas: x", "<htmlx>"])
def test_anything_else_is_only_no_json(text):
    assert non_json(text, unmasked) == "the server answered with something that is not JSON"


@pytest.mark.parametrize(
    "text", ["<!--" * 5_000, "<" * 10_000, "{" + "}\n" * 5_000, "{}" + "\n" * 9_000, "<html><title" * 900]
)
def test_text_made_to_be_slow_is_not(text):
    started = time.process_time()
    non_json(text, unmasked)
    assert time.process_time() - started < 2
