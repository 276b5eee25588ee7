from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.data.dataset_trees import put_text
from yolo.curate.manifest import dataset_called, read_manifest
from yolo.data.dataset_yaml import read_dataset_yaml
from yolo.errors import ConfigError, DataError

DATA = Path(__file__).parents[2] / "data"


def _content() -> dict[str, Any]:
    return {
        "terms": {"free": "Do what you like."},
        "archives": {
            "a.zip": {
                "addresses": ["https://example.org/a.zip"],
                "bytes": 10,
                "sha256": "AB" * 32,
                "inside": "./a/",
                "folder": "things/a",
                "max_bytes": 20,
                "max_files": 3,
            }
        },
        "datasets": {
            "things": {"archives": ["a.zip"], "terms": "free", "yaml": "t.yaml", "descriptor": {"train": "things/a"}}
        },
    }


def _write(path: Path, content: Any) -> Path:
    return put_text(path / "manifest.yaml", yaml.safe_dump(content))


def test_every_key(tmp_path: Path) -> None:
    (dataset,) = read_manifest(_write(tmp_path, _content())).values()
    (archive,) = dataset.archives
    assert dataset.name == "things"
    assert dataset.terms == "Do what you like."
    assert dataset.yaml == "t.yaml"
    assert dataset.descriptor == {"train": "things/a"}
    assert dataset.folders == {"things/a": (archive,)}
    assert archive == ("a.zip", ("https://example.org/a.zip",), 10, "ab" * 32, "a", "things/a", 20, 3)


def _set(section: str, name: str, key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        content[section][name][key] = value

    return change


def _archive(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("archives", "a.zip", key, value)


def _dataset(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return _set("datasets", "things", key, value)


BAD_FOLDERS: list[Any] = ["", "/etc", "a/../../b", "c:\\x", ["a"]]
BAD_ADDRESSES: list[Any] = [
    "https://example.org/a.zip",
    [],
    ["https://a.org/a", "https://a.org/a"],
    ["ftp://example.org/a.zip"],
    ["file:///etc/passwd"],
    ["https:///a.zip"],
    ["https://me:secret@example.org/a.zip"],
    ["https://example.org/a\r\nHost: b"],
    ["https://[::1/a"],
]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda content: content.update(archive={}), r"unknown key 'archive'; did you mean 'archives'\?"),
        (lambda content: content.pop("terms"), "'terms' is missing"),
        (lambda content: content.update(archives=[]), r"'archives' is \[\], expected names with values"),
        (lambda content: content.update(datasets={3: {}}), "'datasets' is .*, expected names with values"),
        (lambda content: content["archives"].update({"../a.zip": content["archives"]["a.zip"]}), "letters, digits"),
        (lambda content: content["archives"].update({".a": content["archives"]["a.zip"]}), "letters, digits"),
        (lambda content: content["datasets"].update({"a/b": content["datasets"]["things"]}), "letters, digits"),
        (lambda content: content["archives"]["a.zip"].pop("sha256"), r"archives\.a\.zip: 'sha256' is missing"),
        (_archive("sha265", "x"), "unknown key 'sha265'; did you mean 'sha256'"),
        *((_archive("sha256", value), "expected 64 hexadecimal digits") for value in ("ab" * 31, 10**63, "zz" * 32)),
        *((_archive("bytes", value), f"'bytes' is {value!r}, expected a whole number") for value in ("10", True, 0)),
        (_archive("max_bytes", 1.5), "'max_bytes' is 1.5"),
        (_archive("max_files", -1), "'max_files' is -1"),
        *((_archive("addresses", value), "'addresses' is .* expected a list") for value in BAD_ADDRESSES),
        *((_archive("folder", value), "'folder' is .* expected a new") for value in (*BAD_FOLDERS, ".")),
        *((_archive("inside", value), "'inside' is .* expected a relative folder") for value in BAD_FOLDERS),
        (_dataset("archives", ["b.zip"]), "'b.zip', which is not described"),
        (_dataset("archives", ["a.zip", "a.zip"]), "'archives' is .* expected a list of different names"),
        (_dataset("terms", "none"), "'terms' is 'none', expected a name under terms with a text"),
        (_dataset("terms", ["free"]), "expected a name under terms"),
        (_dataset("yaml", "../t.yaml"), "'yaml' is '../t.yaml', expected a file name such as things.yaml"),
        (_dataset("yaml", "t.json"), "expected a file name such as things.yaml"),
        (_dataset("descriptor", "train"), "'descriptor' is 'train', expected names"),
    ],
)
def test_wrong_values(tmp_path: Path, change: Callable[[dict[str, Any]], None], words: str) -> None:
    content = _content()
    change(content)
    with pytest.raises(DataError, match=words) as caught:
        read_manifest(_write(tmp_path, content))
    assert "manifest.yaml" in str(caught.value)


def test_a_folder_in_a_folder(tmp_path: Path) -> None:
    content = _content()
    content["archives"]["b.zip"] = content["archives"]["a.zip"] | {"folder": "things"}
    content["datasets"]["things"]["archives"].append("b.zip")
    with pytest.raises(DataError, match="folder 'things/a' lies in folder 'things'"):
        read_manifest(_write(tmp_path, content))


@pytest.mark.parametrize("text", ["", "3", "[a, b]", "a: [", "a: !!python/object:os.system {}"])
def test_no_manifest_at_all(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"manifest\.yaml"):
        read_manifest(put_text(tmp_path / "manifest.yaml", text))
    with pytest.raises(DataError, match="cannot be read"):
        read_manifest(tmp_path / "absent.yaml")


def test_names_are_found_and_guessed() -> None:
    known = read_manifest(None)
    assert dataset_called("VOC2007", known).name == "voc2007"
    with pytest.raises(ConfigError, match=r"did you mean coco2017\? \(it has voc2007, voc2012, voc, coco2017, coco"):
        dataset_called("coco-2017", known)
    with pytest.raises(ConfigError, match=r"no such dataset in the manifest \(it has"):
        dataset_called("imagenet", known)


def test_the_shipped_manifest() -> None:
    known = read_manifest(None)
    assert {name: [archive.name for archive in dataset.archives] for name, dataset in known.items()} == {
        "voc2007": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar"],
        "voc2012": ["VOCtrainval_11-May-2012.tar"],
        "voc": ["VOCtrainval_06-Nov-2007.tar", "VOCtest_06-Nov-2007.tar", "VOCtrainval_11-May-2012.tar"],
        "coco2017": ["annotations_trainval2017.zip", "val2017.zip", "train2017.zip"],
        "coco2017-val": ["annotations_trainval2017.zip", "val2017.zip"],
    }
    archives = {archive for dataset in known.values() for archive in dataset.archives}
    assert len({archive.sha256 for archive in archives}) == len(archives) == 6
    for archive in archives:
        assert archive.addresses[0].startswith("https://")
        assert all(address.endswith(f"/{archive.name}") for address in archive.addresses)
        # a tar holds its files as they are; of the zips those of images hardly shrink
        limit = 5 * archive.num_bytes if "annotations" in archive.name else 1.3 * archive.num_bytes
        assert archive.num_bytes <= archive.max_bytes <= limit


@pytest.mark.parametrize("name", ["voc", "coco2017"])
def test_the_descriptors_in_the_repository_say_the_same(name: str) -> None:
    dataset = read_manifest(None)[name]
    path = DATA / dataset.yaml
    if not path.is_file():
        pytest.skip("the repository's data folder is not here")
    assert yaml.safe_load(path.read_text(encoding="utf-8")) == dataset.descriptor


@pytest.mark.parametrize("name", read_manifest(None))
def test_the_descriptors_can_be_read(tmp_path: Path, name: str) -> None:
    dataset = read_manifest(None)[name]
    root = tmp_path / dataset.descriptor["path"]
    for key in ("train", "val", "test"):
        sources = dataset.descriptor.get(key, [])
        for source in sources if isinstance(sources, list) else [sources]:
            put_text(root / source, "")
    content = read_dataset_yaml(put_text(tmp_path / dataset.yaml, yaml.safe_dump(dict(dataset.descriptor))))
    assert content.class_names is not None
    assert len(content.class_names) == (20 if name.startswith("voc") else 80)
    assert content.notes == ()
    assert content.root == root
    assert {archive.folder.split("/")[0] for archive in dataset.archives} == {root.name}
