from typing import Any, Literal

import pytest

from yolo.config.from_text import typed_value
from yolo.errors import ConfigError

Choice = Literal["auto", "32", "BF16"]


def typed(value: Any, kind: Any, name: str = "option") -> Any:
    return typed_value(name, value, kind, written="--option")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("8", int, 8),
        (" 8 ", int, 8),
        ("8.0", int, 8),
        ("1e3", int, 1000),
        ("9007199254740993", int, 9007199254740993),
        (8.0, int, 8),
        ("1e-3", float, 0.001),
        (".5", float, 0.5),
        (1, float, 1.0),
        ("null", int | None, None),
        ("None", float | None, None),
        (None, int | None, None),
        ("none", str | None, "none"),
        ("none", Literal["ram", "none"], "none"),
        ("AUTO", Choice, "auto"),
        ("bf16", Choice, "BF16"),
        (32, Choice, "32"),
        ("3", Literal[1, 3] | None, 3),
        *((word, bool, True) for word in ("true", "True", "YES", "on", "1", 1, True)),
        *((word, bool, False) for word in ("false", "No", "OFF", "0", 0, False)),
        (5, str, "5"),
        ("[1]", str, "[1]"),
        ("0.5", float | str | None, 0.5),
        ("metrics.json", float | str | None, "metrics.json"),
        ("3", str | int, "3"),
        ("1, 2,3", tuple[int, ...], (1, 2, 3)),
        ("[.1,.2]", tuple[float, ...], (0.1, 0.2)),
        ([1, "2"], tuple[int, ...], (1, 2)),
        (["a", "b"], str | tuple[str, ...], ("a", "b")),
        ('{"a": 0.5, b: 1e-1}', dict[str, float], {"a": 0.5, "b": 0.1}),
        ({"a": 1}, dict[str, float], {"a": 1.0}),
    ],
)
def test_values_get_the_type_of_their_option(value: Any, kind: Any, expected: Any) -> None:
    found = typed(value, kind)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("many", int, "--option must be a whole number, got 'many'"),
        ("1.5", int, "--option must be a whole number, got '1.5'"),
        ("1e400", int, "--option must be a whole number, got '1e400'"),
        ("9" * 5000, int, "--option must be a whole number, got '999999999999...9999999999999'"),
        ("٣", int, "--option must be a whole number, got '٣'"),
        (True, int, "--option must be a whole number, got True"),
        (None, int, "--option must be a whole number, got None"),
        ("nan", float, "--option must be a number, got 'nan'"),
        (float("inf"), float, "--option must be a number, got inf"),
        ("0,5", float, "--option must be a number, got '0,5'; write 0.5"),
        ("50%", float, "--option must be a number, got '50%'; write 0.5"),
        ("a\0b", str, "--option must be text, got 'a\\x00b'"),
        ("maybe", bool, "--option must be true or false, got 'maybe'"),
        ("64", Choice, "--option must be one of auto, 32, BF16, got '64'"),
        ("nan", float | str | None, "--option must be a number or text, got 'nan'"),
        ("[1, x]", tuple[int, ...], "--option must be a whole number, got ' x'"),
        ({"a": 1}, str, "--option must be text, got {'a': 1}"),
        ("[1]", dict[str, float], "--option must be a mapping such as '{\"backbone\": 0.1}', got '[1]'"),
        ('{"a": "x"}', dict[str, float], "--option, a must be a number, got 'x'"),
        ("a\nb\x1b", int, "--option must be a whole number, got 'a\\nb\\x1b'"),
    ],
)
def test_what_does_not_fit_gets_one_line(value: Any, kind: Any, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        typed(value, kind)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "minutes"), [("5", 5), ("5m", 5), ("2h", 120), ("90s", 1.5), ("1h30m", 90), ("0.5h", 30), ("5min", 5)]
)
def test_minutes_may_have_a_unit(text: str, minutes: float) -> None:
    assert typed(text, float | None, "max_minutes") == minutes
    with pytest.raises(ConfigError, match="must be a number"):
        typed(f"{text} and more", float | None, "max_minutes")


def test_seconds_may_have_a_unit_and_other_numbers_may_not() -> None:
    assert typed("2m", float | None, "start") == 120
    with pytest.raises(ConfigError):
        typed("2m", float, "optimizer.lr")


def test_home_is_where_a_shell_would_have_put_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert typed("~/own.cfg", str, "cfg") == "/home/me/own.cfg"
    assert typed("~$own.cfg", str, "cfg") == "~$own.cfg"
    assert typed("~/x", str, "title") == "~/x"


def test_words_of_an_option_in_any_case() -> None:
    assert typed("CPU", str, "device") == "cpu"
    assert typed("Auto", str, "weights") == "auto"
    assert typed("default", str, "weights") == "DEFAULT"
    assert typed("NONE", str | int, "freeze") == "none"
    assert typed("AUTO", float | str | None, "score_threshold") == "auto"
    assert typed("Auto", str, "name") == "Auto"
