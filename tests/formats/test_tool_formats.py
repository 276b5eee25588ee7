"""What each format of an annotation tool means, and what happens to bad objects in it: they go alone, and are named."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.dataset_trees import put_image, put_text
from tests.data.reading import header_sizes
from yolo.errors import DataError
from yolo.formats.createml import load_createml
from yolo.formats.cvat import load_cvat
from yolo.formats.issues import ReadReport
from yolo.formats.label_studio import load_label_studio
from yolo.formats.labelme import load_labelme
from yolo.formats.named_boxes import NamedBoxes, list_named, read_named, report_nameless
from yolo.formats.via import load_via

CIRCLE = math.sqrt(2) * 5


def of(file: NamedBoxes) -> tuple[list[list[float]], list[tuple[str, str]]]:
    """Boxes of the only image, and the kinds and messages of what was left out."""
    (image,) = file.images.values()
    return [list(one.sides) for one in image.objects], [(kind, message) for _, kind, message in image.faults]


def cvat(root: Path, *shapes: str) -> NamedBoxes:
    text = f'<annotations><image id="0" name="a.png" width="40" height="20">{"".join(shapes)}</image></annotations>'
    return load_cvat(put_text(root / "annotations.xml", text))


def test_shapes_of_cvat(tmp_path: Path) -> None:
    boxes, faults = of(
        cvat(
            tmp_path,
            '<box label="cat" xtl="1.5" ytl="2" xbr="3" ybr="4"/>',
            '<box label="cat" xtl="10" ytl="5" xbr="20" ybr="9" rotation="90"/>',
            '<polygon label="cat" points="1,2;5,3;4,8"/>',
            '<ellipse label="cat" cx="10" cy="10" rx="4" ry="2"/>',
            '<mask label="cat" left="3" top="4" width="5" height="6" rle="1"/>',
            '<points label="cat" points="1,2"/>',
            '<box xtl="1" ytl="2" xbr="3" ybr="4"/>',
            '<box label="cat" xtl="1" ytl="2" xbr="3"/>',
            '<polygon label="cat" points="1,2;x"/>',
        )
    )
    expected: list[list[float]] = [[1.5, 2, 3, 4], [13, 2, 17, 12], [1, 2, 5, 8], [6, 8, 14, 12], [3, 4, 8, 10]]
    np.testing.assert_allclose(np.array(boxes), np.array(expected), atol=1e-9)
    assert [kind for kind, _ in faults] == ["missing_box", "missing_name", "missing_box", "missing_box"]
    assert faults[0][1] == "is a <points>, which has no box"


def test_an_image_of_cvat_without_a_name_loses_its_objects_counted(tmp_path: Path) -> None:
    text = '<annotations><image id="0"><box label="a"/><box label="b"/></image></annotations>'
    file, report = load_cvat(put_text(tmp_path / "a.xml", text)), ReadReport()
    report_nameless(file, report)
    assert report.objects_dropped == {"unknown_image": 2}
    with pytest.raises(DataError, match="declares XML entities"):
        load_cvat(put_text(tmp_path / "b.xml", '<!DOCTYPE a [<!ENTITY b "c">]><annotations/>'))


def createml(root: Path, *objects: Any) -> NamedBoxes:
    return load_createml(put_text(root / "a.json", json.dumps([{"image": "a.png", "annotations": objects}])))


def test_createml_is_centre_and_size_in_pixels(tmp_path: Path) -> None:
    box = {"x": 10, "y": 5, "width": 4, "height": 2}
    boxes, faults = of(
        createml(tmp_path, {"label": "cat", "coordinates": box}, {"coordinates": box}, {"label": "cat"}, 7)
    )
    assert boxes == [[8, 4, 12, 6]]
    assert [kind for kind, _ in faults] == ["missing_name", "missing_box", "missing_name"]


def labelme(root: Path, *shapes: dict[str, Any], **more: Any) -> NamedBoxes:
    put_text(root / "a.json", json.dumps({"shapes": shapes, "imagePath": "old\\b.png", **more}))
    return load_labelme(root)


def test_shapes_of_labelme(tmp_path: Path) -> None:
    shapes: list[dict[str, Any]] = [
        {"label": "cat", "points": [[9, 8], [1, 2]], "shape_type": "rectangle"},
        {"label": "cat", "points": [[1, 2], [5, 3], [4, 8]]},
        {"label": "cat", "points": [[10, 10], [15, 15]], "shape_type": "circle"},
        {"label": "cat", "points": [[1, 2]], "shape_type": "point"},
        {"label": " ", "points": [[1, 2], [3, 4]]},
        {"label": "cat", "points": [[1, None], [3, 4]]},
        {"label": "cat", "points": [[1, 2], [3, 4]], "shape_type": ["x"]},
    ]
    boxes, faults = of(labelme(tmp_path, *shapes))
    circle = [10 - CIRCLE, 10 - CIRCLE, 10 + CIRCLE, 10 + CIRCLE]
    np.testing.assert_allclose(np.array(boxes), np.array([[1.0, 2, 9, 8], [1.0, 2, 5, 8], circle]))
    assert [kind for kind, _ in faults] == ["missing_box", "missing_name", "missing_box", "missing_box"]


def test_a_damaged_file_of_labelme_costs_its_image_alone(tmp_path: Path) -> None:
    put_image(tmp_path / "a.png")
    put_image(tmp_path / "b.jpg")
    labelme(tmp_path, {"label": "cat", "points": [[1, 2], [9, 8]]}, imageWidth=41, imageHeight=20)
    put_text(tmp_path / "b.json", '{"shapes": [')
    put_text(tmp_path / "c.json", '{"of another": "program"}')
    file, report = load_labelme(tmp_path), ReadReport()
    source = read_named(file, list_named(file, None), sizes=header_sizes(report))
    assert source.paths == [str(tmp_path / "a.png")]
    assert report.images_dropped == {"annotation_unreadable": 1}
    assert [(issue.kind, issue.path) for issue in report.issues] == [
        ("size_mismatch", str(tmp_path / "a.json")),
        ("annotation_unreadable", str(tmp_path / "b.json")),
    ]
    assert source.issue(0, "x", "").path == str(tmp_path / "a.json")


def via(root: Path, *regions: tuple[dict[str, Any], dict[str, Any]]) -> NamedBoxes:
    own = [{"shape_attributes": shape, "region_attributes": attributes} for shape, attributes in regions]
    return load_via(put_text(root / "via.json", json.dumps({"a.png1": {"filename": "a.png", "regions": own}})))


def test_shapes_of_via(tmp_path: Path) -> None:
    cat = {"animal": "cat"}
    boxes, faults = of(
        via(
            tmp_path,
            ({"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}, cat),
            ({"name": "circle", "cx": 10, "cy": 9, "r": 2}, cat),
            ({"name": "ellipse", "cx": 10, "cy": 9, "rx": 2, "ry": 1}, {"animal": {"cat": True, "dog": False}}),
            ({"name": "polygon", "all_points_x": [1, 5, 3], "all_points_y": [2, 2, 7]}, cat),
            ({"name": "point", "cx": 1, "cy": 2}, cat),
            ({"name": "rect", "x": 1}, cat),
            ({"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}, {"animal": ""}),
        )
    )
    assert boxes == [[1, 2, 4, 6], [8, 7, 12, 11], [8, 8, 12, 10], [1, 2, 5, 7]]
    assert [kind for kind, _ in faults] == ["missing_box", "missing_box", "missing_name"]


def test_which_attribute_of_via_is_the_class(tmp_path: Path) -> None:
    rect = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}
    (image,) = via(tmp_path, (rect, {"colour": "red", "Type": "cat"})).images.values()
    assert image.objects[0].class_name == "cat"
    with pytest.raises(DataError, match="has no header of VIA, with filename and region_shape_attributes"):
        load_via(put_text(tmp_path / "x.csv", "filename,xmin\n"))
    with pytest.raises(DataError, match=r"several attributes \('colour', 'breed'\), and none is called class or label"):
        via(tmp_path, (rect, {"colour": "red", "breed": "tabby"}))


def label_studio(root: Path, *values: dict[str, Any]) -> NamedBoxes:
    result = [{"original_width": 40, "original_height": 20, "value": value} for value in values]
    content = [{"data": {"image": "a.png"}, "annotations": [{"result": result}]}]
    return load_label_studio(put_text(root / "a.json", json.dumps(content)))


def test_shapes_of_label_studio_are_percent_of_the_image(tmp_path: Path) -> None:
    box = {"x": 25, "y": 50, "width": 50, "height": 25, "rectanglelabels": ["cat"]}
    boxes, faults = of(
        label_studio(
            tmp_path,
            box,
            box | {"rotation": 90},  # around the first corner
            {"points": [[0, 0], [50, 10], [25, 100]], "polygonlabels": ["cat"]},
            {"x": 50, "y": 50, "radiusX": 10, "radiusY": 20, "ellipselabels": ["cat"]},
            box | {"rectanglelabels": []},
            {"rectanglelabels": ["cat"], "x": 1},
        )
    )
    np.testing.assert_allclose(boxes, [[10, 10, 30, 15], [5, 10, 10, 30], [0, 0, 20, 20], [16, 6, 24, 14]], atol=1e-9)
    assert [kind for kind, _ in faults] == ["missing_name", "missing_box"]


def test_of_several_annotations_of_a_task_the_first_counts_and_is_told(tmp_path: Path) -> None:
    value = {"x": 0, "y": 0, "width": 50, "height": 50, "rectanglelabels": ["cat"]}
    region = {"original_width": 40, "original_height": 20, "value": value}
    content = [{"data": {"image": "a.png"}, "annotations": [{"result": [region]}, {"result": [region, region]}]}]
    file = load_label_studio(put_text(tmp_path / "a.json", json.dumps(content)))
    assert len(of(file)[0]) == 1
    assert file.notes == ["a.json: tasks with several annotations: 1; the first of each is read"]


@pytest.mark.parametrize("load", [load_createml, load_label_studio, load_via])
def test_what_is_no_such_file_is_refused(tmp_path: Path, load: Any) -> None:
    with pytest.raises(DataError, match=r"a.json: is "):
        load(put_text(tmp_path / "a.json", "3"))
