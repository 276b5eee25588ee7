"""What pages are made with: nobody's text can leave its place."""

from __future__ import annotations

import json
import math
from importlib import resources

from hypothesis import given
from hypothesis import strategies as st

from yolo.report.page import isolated, make_environment
from yolo.report.text import exact, rate, share

TO_JSON = make_environment().from_string("{{ value|tojson }}")


@given(st.text(max_size=40))
def test_json_in_a_page_says_the_same_and_has_nothing_of_html(text: str) -> None:
    block = TO_JSON.render(value={text: [text]})
    assert not set(block) & {"<", ">", "&", "\u2028", "\u2029"}
    assert json.loads(block) == {text: [text]}


@given(st.text(max_size=40))
def test_a_name_is_no_markup(text: str) -> None:
    inner = str(isolated(text)).removeprefix("<bdi>").removesuffix("</bdi>")
    assert not set(inner) & set("<>\"'")


def test_a_name_that_is_no_unicode_can_still_be_written() -> None:
    written = isolated("broken \udcff name").encode("utf-8")
    assert written.startswith(b"<bdi>broken ")
    assert written.endswith(b" name</bdi>")


def test_what_is_not_measured_is_a_dash() -> None:
    assert [rate(value) for value in (math.nan, math.inf, None, 0.0)] == ["–", "–", "–", "0.000"]
    assert share(math.nan) == "–"
    assert exact(math.nan) == ""


def test_scripts_use_nothing_that_runs_text() -> None:
    for one in resources.files("yolo.report").iterdir():
        if one.name.endswith((".js", ".css", ".j2")):
            text = one.read_text(encoding="utf-8")
            assert not [word for word in ("innerHTML", "eval(", "document.write", "http://", "https://", "@import")
                        if word in text.replace("http://www.w3.org/2000/svg", "")], one.name  # fmt: skip
            assert len(text.splitlines()) <= 300
