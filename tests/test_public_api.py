import re
import subprocess
import sys
from pathlib import Path

import pytest

import yolo


def test_all_is_sorted_small_and_true() -> None:
    assert yolo.__all__ == sorted(yolo.__all__)
    assert len(yolo.__all__) <= 12
    for name in yolo.__all__:
        assert getattr(yolo, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(yolo, "nothing_of_that_name")


def run_python(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def test_a_detector_needs_no_dataset_no_evaluation_and_no_report() -> None:
    code = "import sys; from yolo import Detector; print(*sorted(m for m in sys.modules if m.startswith('yolo')))"
    modules = run_python(code).split()
    assert len(modules) <= 45
    parts = {module.split(".")[1] for module in modules if "." in module}
    assert not parts & {"data", "formats", "transforms", "losses", "evaluation", "report", "curate", "cli"}


@pytest.mark.parametrize(
    "page", ["README.md", "docs/design.md", "docs/results.md", "data/README.md", "weights/README.md"]
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
