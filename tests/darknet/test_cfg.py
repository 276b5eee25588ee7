from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from yolo.darknet.cfg import MAX_CFG_BYTES, Cfg, Section, parse_cfg, read_cfg
from yolo.errors import ConfigError


def parse(text: str) -> Cfg:
    return parse_cfg(text, source="a.cfg")


def first(text: str) -> Section:
    """The [net] section with these lines."""
    return parse(f"[net]\n{text}").sections[0]


def pairs(section: Section) -> list[tuple[str, str | None]]:
    return [(option.key, option.value) for option in section.options]


def test_spaces_and_tabs_vanish_everywhere_even_inside_words() -> None:
    cfg = parse("  [ n e t ]\n\tbat ch\t=  6 4 \nsteps = 1, 2,\t3\n")
    assert cfg.sections[0].name == "net"
    assert pairs(cfg.sections[0]) == [("batch", "64"), ("steps", "1,2,3")]


def test_lines_are_counted_from_one_with_comments_and_empty_lines() -> None:
    cfg = parse("# head\n\n;old comment\n[net]\n\n  # batch=1\nbatch=2\n[max]\n")
    net, maxpool = cfg.sections
    assert (net.line, net.options[0].line, maxpool.line) == (4, 7, 8)


def test_only_newlines_end_lines() -> None:
    # form feeds and Unicode line separators are ordinary characters to C
    assert pairs(first("a=1\x0cb=2\u2028c=3\n")) == [("a", "1\x0cb=2\u2028c=3")]


def test_windows_line_ends_and_a_byte_order_mark_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "windows.cfg"
    path.write_bytes(b"\xef\xbb\xbf[net]\r\nbatch=2\r\n\r\n[maxpool]\r\n")
    assert [section.name for section in read_cfg(path).sections] == ["net", "maxpool"]
    assert read_cfg(path).sections[0].text("batch", "") == "2"


def test_aliases_have_one_name() -> None:
    cfg = parse("[network]\n[conv]\n[conn]\n[max]\n[avg]\n[soft]\n")
    names = [section.name for section in cfg.sections]
    assert names == ["net", "convolutional", "connected", "maxpool", "avgpool", "softmax"]


def test_the_first_equal_sign_splits_and_the_first_key_wins() -> None:
    section = first("a=b=c\nbatch=1\nbatch=2\n=5\n")
    assert section.text("a", "") == "b=c"
    assert section.integer("batch", 9) == 1
    assert section.text("", "") == "5"


def test_a_key_without_value_counts_as_missing_but_hides_later_ones() -> None:
    section = first("batch\nbatch=8\n")
    assert section.options[0].value is None
    assert section.integer("batch", 3) == 3
    assert section.integers("batch") == ()


def test_a_key_with_nothing_after_the_sign_is_ignored_and_noted() -> None:
    cfg = parse("[net]\nbatch=\nbatch = 8\n=\n")
    assert cfg.sections[0].integer("batch", 3) == 8
    assert cfg.notes == ("line 2: 'batch=' has no value and is ignored", "line 4: '=' has no value and is ignored")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("64", 64),
        ("-3", -3),
        ("+3", 3),
        ("007", 7),
        ("0.9", 0),
        ("1e3", 1),
        ("64#filters", 64),
        ("abc", 0),
        ("-", 0),
        ("0x10", 0),
        ("٣", 0),  # a digit to Python, not to C
        ("2147483647", 2147483647),
        ("-2147483647", -2147483647),
        ("0" * 5000 + "1", 1),
    ],
)
def test_integers_are_the_longest_numeric_start(text: str, value: int) -> None:
    assert first(f"a={text}\n").integer("a", 99) == value


@pytest.mark.parametrize("text", ["2147483648", "-99999999999", "9" * 100_000])
def test_an_integer_that_would_wrap_around_is_an_error_with_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^a\.cfg:2: \[net\] a='-?[0-9.]{9,43}' does not fit into 32 bits$"):
        first(f"a={text}\n").integer("a", 0)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("-2.5E+1x", -25.0),
        ("1e", 1.0),
        ("1.2.3", 1.2),
        ("", 0.0),
        (".", 0.0),
        ("e5", 0.0),
        ("abc", 0.0),
        ("1e-400", 0.0),
    ],
)
def test_numbers_are_the_longest_numeric_start(text: str, value: float) -> None:
    assert first(f"a={text},\n").numbers("a")[0] == value


@pytest.mark.parametrize("text", ["inf", "-Infinity", "nan", "NAN(1)", "0x1p3", "1e999", "1e39", "-3.5e38", "9" * 400])
def test_numbers_that_are_not_finite_decimals_are_errors_with_their_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^a\.cfg:3: \[net\] rate='.*' is not a finite decimal number$"):
        first(f"\nrate={text}\n").number("rate", 0)


def test_lists_have_one_part_more_than_commas() -> None:
    section = first("steps=100,200x,,\nscales=.1,1e1\nnone\n")
    assert section.integers("steps") == (100, 200, 0, 0)
    assert section.numbers("scales") == (0.1, 10.0)
    assert section.integers("missing") == section.integers("none") == ()
    assert section.numbers("missing") == section.numbers("none") == ()


def test_missing_keys_have_the_default() -> None:
    section = first("")
    assert (section.text("a", "x"), section.integer("a", 7), section.number("a", 0.5)) == ("x", 7, 0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"^a\.cfg: this cfg is empty"),
        ("# only a comment\n", r"^a\.cfg: this cfg is empty"),
        ("\nbatch=1\n[net]\n", r"^a\.cfg:2: 'batch=1' stands before any section"),
        ("=\n", r"^a\.cfg:1: '=' stands before any section"),
        ("[conv]\n", r"^a\.cfg:1: the first section must be \[net\]"),
        ("[net]\n[conv]\n[network]\n", r"^a\.cfg:3: \[net\] may stand only once"),
        ("[net]\n\n[convolution]\n", r"^a\.cfg:3: unknown section '\[convolution\]'; did you mean \[convolutional\]\?"),
        ("[net]\n[MaxPool]\n", r"^a\.cfg:2: unknown section '\[MaxPool\]'; did you mean \[maxpool\]\?"),
        ("[net]\n[qqqq]\n", r"^a\.cfg:2: unknown section '\[qqqq\]'$"),
        ("[net]#inputs\n", r"^a\.cfg:1: unknown section '\[net\]#inputs'"),
        ("[\n", r"^a\.cfg:1: unknown section '\['"),
        ("[]\n", r"^a\.cfg:1: unknown section '\[\]'"),
        ("[net\r]\n", r"^a\.cfg:1: unknown section"),
        ("[net]\n[lrn]\n", r"^a\.cfg:2: \[lrn\] is a section of darknet that gridyolo does not build"),
        ("[net]\n[" + "x" * 10_000 + "]\n", r"^a\.cfg:2: unknown section '\[x{11}\.\.\.x{12}\]'$"),
    ],
)
def test_what_breaks_the_grammar_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse(text)


OTHER_SECTIONS = (
    *("route", "shortcut", "region", "yolo", "rnn", "gru", "lstm", "crnn", "deconvolutional", "deconv", "reorg"),
    *("upsample", "normalization", "l2norm", "logistic", "iseg"),
)


@pytest.mark.parametrize("name", OTHER_SECTIONS)
def test_darknets_other_sections_are_known_and_refused(name: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"a\.cfg:2: \[{name}\] is a section of darknet that gridyolo does not build"
    ):
        parse(f"[net]\n[{name}]\n")


def test_a_section_without_its_bracket_is_read_as_darknet_names_it() -> None:
    # "[net" is another name than "[net]"
    with pytest.raises(ConfigError, match=r"a\.cfg:1: unknown section '\[net'"):
        parse("[net\n")


def test_the_text_is_kept_as_it_was() -> None:
    text = "[net]\r\n  batch = 1 # one\r\n"
    assert parse(text).text == text


def test_files_that_are_no_cfg(tmp_path: Path) -> None:
    binary, large, zeros = tmp_path / "a.weights", tmp_path / "large.cfg", tmp_path / "zeros.cfg"
    binary.write_bytes(b"\x00\x00\x80\xff" * 10)
    large.write_bytes(b"#" * (MAX_CFG_BYTES + 1))
    zeros.write_bytes(b"[net]\n\0\0")
    with pytest.raises(ConfigError, match=r"a\.weights is not a cfg: byte 2 is not UTF-8"):
        read_cfg(binary)
    with pytest.raises(ConfigError, match=r"large\.cfg: is too large for a cfg: it has more than 1,000,000 bytes"):
        read_cfg(large)
    with pytest.raises(ConfigError, match=r"zeros\.cfg is not a cfg: .*binary data"):
        read_cfg(zeros)
    with pytest.raises(ConfigError, match=r"missing\.cfg: cannot be read \(No such file"):
        read_cfg(tmp_path / "missing.cfg")
    with pytest.raises(ConfigError, match=r"cannot be read \(Is a directory"):
        read_cfg(tmp_path)
    with pytest.raises(ConfigError, match="more than 1,000,000 characters"):
        parse(" " * (MAX_CFG_BYTES + 1))


def test_a_file_names_itself_in_messages(tmp_path: Path) -> None:
    path = tmp_path / "mine.cfg"
    path.write_text("[net]\n[route]\n")
    with pytest.raises(ConfigError, match=r"mine\.cfg:2: \[route\]"):
        read_cfg(path)


words = st.text("aZ09_-.,#;[]()/é☃\x0c\u2028", max_size=8)


@given(st.lists(st.tuples(words.filter(lambda word: word[:1] not in "#;["), words.filter(bool)), max_size=8))
def test_what_is_written_plainly_is_read_back(options: list[tuple[str, str]]) -> None:
    section = first("".join(f" {key} \t= {value} \r\n" for key, value in options))
    assert pairs(section) == [(key, value) for key, value in options]


@given(st.text(max_size=200) | st.text("[]=#;\r\n\t netcovmax019.-,", max_size=200).map("[net]\n".__add__))
def test_any_text_is_read_or_refused_with_a_message(text: str) -> None:
    message, cfg = "", None
    try:
        cfg = parse(text)
    except ConfigError as error:
        message = str(error)
    if cfg is None:
        assert message.startswith("a.cfg")
        return
    assert cfg.sections[0].name == "net"
    for section in cfg.sections:
        for option in section.options:
            assert "\n" not in option.key
            assert section.find(option.key) is not None
