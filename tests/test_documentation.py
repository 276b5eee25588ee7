"""What the documentation says can be done: its commands are understood, its links and messages are there.

Sessions of Python in `docs/` (`>>>`) run as doctests.
"""

import ast
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from yolo.cli import arguments, commands, evaluation_commands, main
from yolo.config.foreign_options import OPTIONS
from yolo.config.options import ALIASES

_ROOT = Path(__file__).parent.parent
_PAGES = sorted({*_ROOT.glob("*.md"), *_ROOT.glob("*/README.md"), *_ROOT.glob("docs/*.md")})
_GUIDES = [page for page in _PAGES if page.name != "CHANGELOG.md"]  # which tells of commands that are gone
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SHELLS = ("", "sh", "bash", "powershell", "console", "text")


def _name(page: Path) -> str:
    return str(page.relative_to(_ROOT))


class _ParsedError(Exception):
    """A command line was understood; what it asks for is not done."""


@pytest.fixture
def parses_only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Every command ends as soon as its configuration is made."""
    monkeypatch.chdir(tmp_path)

    def parse(*args: Any, **kwargs: Any) -> None:
        arguments.parse(*args, **kwargs)
        raise _ParsedError

    for module in (commands, evaluation_commands):
        monkeypatch.setattr(module, "parse", parse)


def _commands_of(page: Path) -> tuple[list[str], list[str]]:
    """The lines of a page that call gridyolo: those to be typed as they stand, and those named within sentences."""
    text = page.read_text(encoding="utf-8")
    blocks = [body for language, body in _FENCE.findall(text) if language in _SHELLS]
    prose = _FENCE.sub("", text)
    typed = [line.strip() for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    typed += re.findall(r"^ {4}(gridyolo .*)$", prose, re.MULTILINE)
    named = [code.replace("\n", " ") for code in re.findall(r"`(gridyolo [^`]+)`", prose)]
    return [line for line in typed if line.startswith("gridyolo ")], named


def _words(line: str) -> list[str]:
    """Words of a command line without its comment, redirection and pipe, as a shell splits them.

    In a list of commands without a shell, two spaces and more stand before the comment.
    """
    words = shlex.split(re.split(r"\s{2,}[^-\s]", line)[0], comments=True)[1:]
    ends = [place for place, word in enumerate(words) if word in (">", "|", "&&", ";")]
    return words[: min(ends, default=len(words))]


@pytest.mark.parametrize("page", _GUIDES, ids=_name)
@pytest.mark.usefixtures("parses_only")
def test_every_command_of_the_documentation_is_understood(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    typed, named = _commands_of(page)
    for name in re.findall(r"--config (\S+\.yaml)", "\n".join(typed)):
        Path(name).write_text("data: pets\n")
    assert [said for line in typed if (said := _complaint(line, capsys))] == []
    # a sentence may leave out what is required, but it may not name what is not there
    wrong = [said for line in named if (said := _complaint(line, capsys)) and re.search("unknown|not one of", said)]
    assert wrong == []


def _complaint(line: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the program objects to in a command line, "" where it understands it."""
    try:
        code = main.run(_words(line))
    except _ParsedError:
        code = 0
    said = capsys.readouterr().err
    return f"{line}: {said}" if code else ""


@pytest.mark.usefixtures("parses_only")
def test_a_command_that_is_not_understood_is_noticed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.md"
    page.write_text("Use `gridyolo val --data d`.\n\n```sh\ngridyolo train --data d \\\n    --lrr 3 > log  # a\n```\n")
    typed, named = _commands_of(page)
    assert [_words(line) for line in (*typed, *named)] == [
        ["train", "--data", "d", "--lrr", "3"],
        ["val", "--data", "d"],
    ]
    assert "unknown option --lrr" in _complaint(typed[0], capsys)
    assert "--weights is required" in _complaint(named[0], capsys)


def _anchors(page: Path) -> set[str]:
    """The anchors that a page's headings get when it is shown: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.*)$", _FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading) for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_every_link_of_the_documentation_leads_somewhere(page: Path) -> None:
    dead = []
    for link in re.findall(r"\]\(([^)\s]+)\)", _FENCE.sub("", page.read_text(encoding="utf-8"))):
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", _PAGES, ids=_name)
def test_every_test_and_tool_that_the_documentation_names_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for name, test in re.findall(r"`(tests/[\w/]+\.py)::(\w+)", text):
        assert f"def {test}(" in (_ROOT / name).read_text(encoding="utf-8")
    for tool in re.findall(r"tools/\w+\.py", text):
        assert (_ROOT / tool).is_file()


def _texts_of_the_program() -> str:
    """Every text in the code, one in a line, with `...` for what is put in."""

    def text(node: ast.AST) -> str:
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else "..."
        if isinstance(node, ast.JoinedStr):
            return "".join(map(text, node.values))
        if isinstance(node, ast.BinOp):
            return text(node.left) + text(node.right)
        return "..."

    kinds = (ast.Constant, ast.JoinedStr, ast.BinOp)
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in sorted((_ROOT / "yolo").rglob("*.py"))]
    found = {text(node) for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)}
    return "\n".join(one.replace("\n", " ") for one in sorted(found))


def test_every_message_that_is_explained_is_one_of_the_program() -> None:
    page = (_ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    texts = _texts_of_the_program()
    gone = [one for one in messages if not re.search(".*".join(re.escape(part) for part in one.split("...")), texts)]
    assert len(messages) > 40
    assert gone == []


def test_every_option_of_other_packages_is_in_the_table() -> None:
    page = (_ROOT / "docs" / "from-ultralytics.md").read_text(encoding="utf-8")
    told: dict[str, str] = {}
    for there, here in re.findall(r"^\| (`.*?) \| (.*) \|$", page[page.index("## Every option") :], re.MULTILINE):
        for name in re.findall(r"`(\w+)`", there):
            told[name] = told.get(name, "") + here.replace("`", "")
    assert sorted(told) == sorted({*OPTIONS, *ALIASES})
    for name, to in [*ALIASES.items(), *((name, to) for name, option in OPTIONS.items() for to in option.to[:1])]:
        assert f"--{to.removesuffix('.pipeline').replace('_', '-')}" in told[name], name
    shortened = ("mode", "time", "cos_lr")  # whose answers say more than there is room for
    for name, option in OPTIONS.items():
        assert option.to or option.answer in told[name] or name in shortened, name


def test_every_extra_for_users_is_in_the_table() -> None:
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    page = (_ROOT / "docs" / "getting-started.md").read_text(encoding="utf-8")
    table = page[page.index("### Extras") : page.index("## The demo")]
    listed = {
        name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`(\w+)`", cell)
    }
    assert listed == set(project["optional-dependencies"]) - {"dev", "bench", "fuzz"}
