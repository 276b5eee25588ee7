import re
from pathlib import Path

import pytest

import yolo


def test_all_is_sorted_small_and_true() -> None:
    assert yolo.__all__ == sorted(yolo.__all__)
    assert len(yolo.__all__) <= 20
    for name in yolo.__all__:
        assert getattr(yolo, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(yolo, "nothing_of_that_name")


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/design.md",
        "docs/predict.md",
        "docs/python.md",
        "docs/results.md",
        "data/README.md",
        "weights/README.md",
    ],
)
def test_every_link_of_the_documentation_leads_somewhere(page: str) -> None:
    path = Path(__file__).parent.parent / page
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize(
    "page", sorted((Path(__file__).parent.parent / "docs").glob("*.md")), ids=lambda page: page.name
)
def test_every_test_that_the_documentation_names_is_there(page: Path) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)", page.read_text(encoding="utf-8"))
    texts = {name: (page.parent.parent / name).read_text(encoding="utf-8") for name, _ in named}
    assert [(name, test) for name, test in named if f"def {test}(" not in texts[name]] == []
