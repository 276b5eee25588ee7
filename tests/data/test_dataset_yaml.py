from pathlib import Path

import pytest

from tests.data.dataset_trees import put_text
from yolo.data.dataset_yaml import DatasetYaml, YamlSource, is_dataset_yaml, read_dataset_yaml
from yolo.errors import DataError


def _read(root: Path, text: str) -> DatasetYaml:
    for folder in ("a", "b"):
        (root / folder).mkdir(exist_ok=True)
    return read_dataset_yaml(put_text(root / "data.yaml", text))


def test_every_key(tmp_path: Path) -> None:
    text = "path: .\ntrain: [a, b]\nvalid: b\ntest:\nnames: {1: dog, 0: cat}\nnc: 2\nformat: coco\n"
    content = _read(tmp_path, text)
    assert content.root == tmp_path
    assert content.splits == {
        "train": (YamlSource(tmp_path / "a"), YamlSource(tmp_path / "b")),
        "val": (YamlSource(tmp_path / "b"),),
    }
    assert content.class_names == ("cat", "dog")
    assert content.format == "coco"
    assert content.notes == ()


def test_names_may_be_absent_numbers_or_a_file(tmp_path: Path) -> None:
    assert _read(tmp_path, "train: a").class_names is None
    assert _read(tmp_path, "train: a\nnc: 2").class_names == ("class0", "class1")
    assert len(_read(tmp_path, "train: a\nnc: 10000").class_names or ()) == 10_000
    assert _read(tmp_path, "train: a\nnames: [0, cat]").class_names == ("0", "cat")
    put_text(tmp_path / "coco.names", "person\ntraffic light\n")
    assert _read(tmp_path, "train: a\nnames: coco.names").class_names == ("person", "traffic light")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tarin: a", "unknown key 'tarin'; did you mean 'train'?"),
        ("zzz: a", "none of its keys is known (zzz); known keys: path, train"),
        ("1: a", "none of its keys is known (1)"),
        ("vall: a\ntrain: a", "unknown key 'vall'; did you mean 'val'?"),
        ("train:\nval: ''", "'train', 'val' is empty; name a folder"),
        ("val: []", "'val' is [], expected a path or a list of paths; remove it if"),
        (
            "train: https://example.org/a.zip",
            "'train' is the address 'https://example.org/a.zip'; nothing is downloaded",
        ),
        ("path: https://example.org/a", "'path' is the address"),
        ("train: a\nnames: {1: x, 2: y}", "'names' begins with class 1, and has none for class 0"),
        ("train: a\nkpt_shape: [17]", "'kpt_shape' is [17], expected the number of key points"),
        ("train: a\nval: b\nvalid: b", "'valid' and another key both name the split val"),
        ("train: 3", "'train' is 3, expected a path or a list of paths"),
        ("train: []", "'train' is [], expected a path"),
        ("path: [a]\ntrain: a", "'path' is ['a'], expected a folder"),
        ("train: a\nnc: 3\nnames: [x, y]", "'nc' is 3 but 'names' has 2 entries"),
        ("train: a\nnc: 10001", "'nc' is 10001, expected the number of classes"),
        ("train: a\nnc: many", "'nc' is 'many', expected the number of classes"),
        ("train: a\nnames: []", "'names' is [], expected a list"),
        ("train: a\nnames: 7", "'names' is 7, expected a list"),
        ("train: a\nnames: gone.names", "'names' is 'gone.names', which is not a file"),
        ("train: a\nnames: [x, x]", "'names' has 'x' more than once"),
        ("train: a\nnames: [yes, maybe]", "names[0] is true, as YAML reads bare yes"),
        ("train: a\nnames: [x, null]", "names[1] is None, expected text"),
        ("train: a\nnames: [x, 1.5]", "names[1] is 1.5, expected text"),
        ("train: a\nnames: {0: x, 2: y}", "'names' has 2 entries but none for class 1"),
        ("train: a\nnames: {x: 0}", "'names' has keys that are not class numbers: ['x']"),
        ("train: a\nformat: kitti", "'format' is 'kitti', expected auto, voc, coco, yolo"),
        ("- a", "is not a dataset YAML; expected keys such as train"),
        ("", "is not a dataset YAML"),
    ],
)
def test_a_mistake_is_named_with_file_and_key(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        _read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'data.yaml'}: ")
    assert words in str(caught.value)


def test_broken_yaml_names_the_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.yaml, line 3: is not YAML"):
        _read(tmp_path, "train: a\nval: b\n  names: [\n")
    with pytest.raises(DataError, match=r"data.yaml, line 3: is not YAML \(a tab is used to indent; write spaces"):
        _read(tmp_path, "train: a\nnames:\n\t- x")
    with pytest.raises(DataError, match=r"data.yaml.*is not YAML \(could not determine a constructor"):
        _read(tmp_path, "train: !!python/object/apply:os.getcwd []")
    with pytest.raises(
        DataError, match=r"data.yaml: is not YAML \(a number has more than 4,300 digits; put it in quotes"
    ):
        _read(tmp_path, f"train: a\nnames: [{'9' * 5000}]")


def test_keys_of_other_programs_are_passed_over_with_a_note(tmp_path: Path) -> None:
    text = "train: a\ndownload: |\n  import os\nroboflow: {license: MIT}\n"
    notes = _read(tmp_path, text).notes
    assert notes == ("keys of other programs in data.yaml are ignored: download, roboflow",)


def test_a_key_that_is_like_one_that_is_there_is_of_another_program(tmp_path: Path) -> None:
    assert _read(tmp_path, "train: a\ntrain2: b\nminival: b\nkpt_names: {0: [nose]}").notes == (
        "keys of other programs in data.yaml are ignored: train2, minival, kpt_names",
    )


@pytest.mark.parametrize(
    "text",
    [
        'path: "..\\root\\new"\ntrain: "a\\b"\nval: a\\b',
        "path: ..\\root\\new\ntrain: [[a\\b]]\nval: 'a\\b'",
        'path: C:\\Users\\me\\root\\new\ntrain:\n  - "a\\b"\nval: {path: "a\\b"}',
        'path: "/home/me/root/new"\ntrain: ["a\\b"]\nval: a/b',
    ],
)
def test_paths_of_windows_and_of_other_machines(tmp_path: Path, text: str) -> None:
    folder = tmp_path / "root" / "new" / "a" / "b"
    folder.mkdir(parents=True)
    (tmp_path / "cfg").mkdir()
    content = read_dataset_yaml(put_text(tmp_path / "cfg" / "data.yaml", text + '\nnames: ["\\u0041", z]\n'))
    assert [source.path.resolve() for key in ("train", "val") for source in content.splits[key]] == [folder] * 2
    assert content.class_names == ("A", "z")  # an escape in a name stays one


def test_numbers_may_have_a_point_or_quotes(tmp_path: Path) -> None:
    content = _read(tmp_path, "train: a\nnc: '2'\nnames: {1.0: dog, '0': cat}\ncategory_ids: [3.0, '7']")
    assert (content.class_names, content.rules.category_ids) == (("cat", "dog"), (3, 7))


def test_key_points_follow_the_box(tmp_path: Path) -> None:
    assert _read(tmp_path, "train: a\nkpt_shape: [17, 3]\nflip_idx: [0]").key_points == 51
    assert _read(tmp_path, "train: a").key_points == 0


def test_a_path_that_is_not_there_lists_the_places_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "cwd"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(DataError) as caught:
        _read(tmp_path, "train: c")
    assert str(caught.value) == (f"{tmp_path}/data.yaml: 'train' is not found; tried\n  {tmp_path}/c\n  {elsewhere}/c")
    with pytest.raises(DataError, match="'path' is not found; tried"):
        _read(tmp_path, "path: c\ntrain: a")


def test_the_working_directory_is_the_second_place_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = tmp_path / "cwd" / "images"
    images.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    content = _read(tmp_path, "train: images")
    assert content.splits["train"] == (YamlSource(images),)
    assert content.notes == (f"'train' in data.yaml: {tmp_path}/images is not there, using {images}",)


def test_roboflow_s_path_above_the_yaml_is_found(tmp_path: Path) -> None:
    (tmp_path / "train" / "images").mkdir(parents=True)
    content = _read(tmp_path, "train: ../train/images\nval: b")
    assert content.splits["train"] == (YamlSource(tmp_path / "train" / "images"),)
    assert "is not there, using" in content.notes[0]


def test_validating_on_train_is_told(tmp_path: Path) -> None:
    assert "val names the same images as train" in _read(tmp_path, "train: a\nval: a").notes[0]


def test_which_yamls_describe_a_dataset(tmp_path: Path) -> None:
    assert is_dataset_yaml(put_text(tmp_path / "a.yaml", "train: x"))
    assert is_dataset_yaml(put_text(tmp_path / "b.yaml", "names: [x]"))
    assert is_dataset_yaml(put_text(tmp_path / "c.yaml", "names: ["))
    assert not is_dataset_yaml(put_text(tmp_path / "d.yaml", "epochs: 3"))
    assert not is_dataset_yaml(put_text(tmp_path / "e.yaml", "- x"))


def test_a_test_split_that_is_not_there_is_a_note(tmp_path: Path) -> None:
    content = _read(tmp_path, "train: a\nval: b\ntest: ../test/images\n")
    assert list(content.splits) == ["train", "val"]
    assert content.notes == ("'test' in data.yaml is not there, so there is no such split: '../test/images'",)
    with pytest.raises(DataError, match="'test' is not found; tried"):
        _read(tmp_path, "test: ../test/images\n")
