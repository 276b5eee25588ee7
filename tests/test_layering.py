"""The import rule: a module imports only from layers below its own, and folders of one layer never meet."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "yolo"
LAYERS = (
    # types, checked values and errors: no maths
    {"arrays", "errors", "_version", "config", "detection_sets", "structures"},
    # one concept each
    {
        "archives",
        "boxes",
        "console",
        "files",
        "geometry",
        "grid",
        "growing_file",
        "http",
        "image_formats",
        "image_headers",
        "images",
        "light_torchvision",
        "process",
        "progress_display",
        "randomness",
        "run_weights",
        "thresholds",
        "weights_header",
    },
    # what files mean: annotation formats, and everything of darknet
    {"formats", "darknet"},
    # one stage each, none knows another
    {"data", "transforms", "models", "losses", "postprocess", "evaluation", "media"},
    # what people read: reports of evaluations, and the datasets behind `gridyolo data`
    {"report", "curate"},
    # where the stages meet
    {"engine"},
    {"cli"},
    {"__main__", "__init__"},
)
LAYER = {name: depth for depth, names in enumerate(LAYERS) for name in names}
# within one layer these may lean on each other, in this direction only
_WITHIN = {
    ("structures", "arrays"),
    ("detection_sets", "arrays"),
    ("config", "errors"),
    ("images", "files"),
    ("run_weights", "console"),
    ("run_weights", "files"),
    ("images", "image_formats"),
    ("images", "image_headers"),
    ("growing_file", "files"),
    ("progress_display", "console"),
    ("grid", "boxes"),
}
FORBIDDEN_NAMES = {"utils", "util", "misc", "helpers", "common", "tools"}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """The top-level module or folder a file belongs to."""
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported_parts(path: Path) -> set[str]:
    """The parts of the package that a file imports, anywhere in it, except for type checking."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names += (
                [f"{node.module}.{alias.name}" for alias in node.names]
                if node.module == "yolo"
                else [node.module or ""]
            )
    return {name.split(".")[1] for name in names if name.startswith("yolo.")}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_go_down(path: Path) -> None:
    part = part_of(path)
    assert part in LAYER, f"{part} has no layer: add it to LAYERS"
    for other in imported_parts(path) - {part}:
        down = LAYER[other] < LAYER[part]
        assert down or (part, other) in _WITHIN, f"{path.name} ({part}) must not import {other}"


def test_the_rule_can_fail(tmp_path: Path) -> None:
    bad = tmp_path / "bad.py"
    bad.write_text("from yolo.engine.train import train\n")
    assert imported_parts(bad) == {"engine"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_files_are_small_and_named_for_what_they_hold(path: Path) -> None:
    assert not FORBIDDEN_NAMES & {piece.removesuffix(".py") for piece in path.relative_to(PACKAGE).parts}
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 450
    assert len(path.relative_to(PACKAGE).parts) <= 2


def test_only_the_grid_indexes_the_last_axis_of_raw() -> None:
    """The channel layout has one home: nobody else slices a tensor called raw by numbers."""
    for path in modules():
        if path.name == "grid.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id == "raw":
                constants = [item for item in ast.walk(node.slice) if isinstance(item, ast.Constant)]
                assert not [item for item in constants if item.value is ...], f"{path}:{node.lineno}"
