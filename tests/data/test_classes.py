from dataclasses import replace

import pytest

from yolo.data.classes import ClassRules, category_ids_of, relabel, unknown_class_message
from yolo.formats.issues import ReadReport
from yolo.formats.objects import RawObject, RawSource, object_columns, sizes_array


def source(categories: dict[int, str]) -> RawSource:
    """A COCO file without images."""
    objects, numbers = object_columns([])
    return RawSource(
        image_ids=[],
        paths=[],
        sizes_hw=sizes_array([]),
        objects=objects,
        numbers=numbers,
        class_names=tuple(categories.values()),
        place=lambda image, number: ("", ""),
        category_ids=tuple(categories),
    )


FIRST, SECOND = {0: "cat", 7: "dog"}, {7: "dog", 9: "bird"}


@pytest.mark.parametrize(
    ("names", "files", "expected"),
    [
        (("bird", "cat", "dog"), (FIRST, SECOND), (9, 0, 7)),
        (("dog", "unheard", "of"), (FIRST,), (7, 8, 9)),  # beyond all that are in use
        (("dog",), (FIRST, {1: "dog"}), None),  # they do not agree
        (("dog",), (FIRST, {7: "cow"}), None),
        (("dog",), (), None),
    ],
)
def test_original_category_ids_come_back(
    names: tuple[str, ...], files: tuple[dict[int, str], ...], expected: tuple[int, ...] | None
) -> None:
    assert category_ids_of(ClassRules(), None, names, map(source, files)) == expected


def test_of_merged_classes_the_first_gives_the_id_unless_one_was_called_so() -> None:
    files = [source({3: "puppy", 4: "hound", 5: "cat"})]
    merged = ClassRules(rename={"hound": "dog", "puppy": "dog"})
    assert category_ids_of(merged, None, ("dog", "cat"), files) == (4, 5)
    assert category_ids_of(ClassRules(rename={"hound": "cat"}), None, ("puppy", "cat"), files) == (3, 5)


def test_ids_of_the_yaml_go_first() -> None:
    rules = ClassRules(category_ids=(18, 3))
    assert category_ids_of(rules, ("dog", "cat"), ("cat", "bird", "dog"), [source(FIRST)]) == (3, 19, 18)


def test_near_names_are_looked_for_among_a_thousand_and_for_a_hundred_classes() -> None:
    names = ["dog", *map(str, range(999))]
    assert "did you mean 'dog'?" in unknown_class_message("dgo", names)
    assert "did you mean" not in unknown_class_message("dgo", [*names, "999"])
    rows = [RawObject(0, 0, 1, 1, label, 0, label) for label in range(102)]
    objects, numbers = object_columns(rows)
    classes = tuple(f"dog{number}" for number in range(102))
    raw = replace(source({}), paths=[""], objects=objects, numbers=numbers, class_names=classes)
    report = ReadReport()
    relabel(raw, ["dog"], ClassRules(), report)
    assert [("did you mean" in issue.message) for issue in report.issues] == [True] * 100 + [False] * 2
