"""Which files of a folder tree are a dataset, of any format. The trees are drawn in data/README.md of the repository.

Looks at names and at the content of single files beside the images; what belongs to a dataset and what does not is
said, because a file that is silently ignored may be somebody's annotations. Left out: YAMLs and files that a user names
(find.py), reading (read.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from yolo.data.data_file import described_by, find_data_file
from yolo.data.descriptor import DatasetDescriptor, Splits, SplitSource, grouped, split_called, split_inside
from yolo.errors import DataError, printable
from yolo.formats.csv import is_box_csv
from yolo.formats.file_kinds import ANNOTATION_SUFFIXES, FileKind, kind_of_file, with_path
from yolo.formats.paths import TOOL_FORMATS, SourceFormat, is_file, is_image_name
from yolo.formats.voc import VOC_LISTS, has_voc_annotations
from yolo.formats.yolo import is_image_list, list_yolo, names_beside

_ROBOFLOW_JSON = "_annotations.coco.json"
_ROBOFLOW_CSV = "_annotations.csv"
_SINGLE_CSVS = (_ROBOFLOW_CSV, "annotations.csv", "labels.csv")
# parts of a standard COCO tree that have no boxes
_OF_COCO = ("captions_", "image_info_", "panoptic_", "stuff_", "person_keypoints_")
_MOST_LOOKED_AT = 20  # files of a folder; where each image has one of its own, the first ones say what they are


class _Kinds:
    """What the files of a folder are, each looked at once."""

    def __init__(self) -> None:
        self._known: dict[Path, FileKind] = {}

    def of(self, path: Path) -> FileKind:
        if path not in self._known:
            self._known[path] = kind_of_file(path)
        return self._known[path]

    def files(self, folder: Path) -> list[tuple[Path, FileKind]]:
        """The first annotation files right in a folder, and what they are."""
        if not folder.is_dir():
            return []
        files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in ANNOTATION_SUFFIXES]
        files = [path for path in files if path.name[0] != "." and not path.name.startswith(_OF_COCO) and is_file(path)]
        return [(path, self.of(path)) for path in files[:_MOST_LOOKED_AT]]

    def of_format(self, folder: Path, source_format: SourceFormat) -> list[Path]:
        return [path for path, kind in self.files(folder) if kind.format == source_format]


def recognise(folder: Path, wanted: SourceFormat | None = None) -> DatasetDescriptor | None:
    """The dataset whose root a folder is, or None; `wanted` restricts it to one format.

    Raises:
        DataError: the tree is ambiguous, or a file in it that should be read cannot be.
    """
    kinds = _Kinds()
    if wanted in (None, "yolo") and (data_file := find_data_file(folder)) is not None:
        return described_by(data_file)
    finders = {"voc": _voc, "coco": _coco, "csv": _csv, "tools": _tools, "yolo": _yolo}  # nearly all could be YOLO
    for name, find in finders.items():
        notes: list[str] = []
        if wanted not in (None, name) and not (name == "tools" and wanted in TOOL_FORMATS):
            continue
        splits = find(folder, notes, kinds)
        if splits and (name != "tools" or wanted in (None, next(iter(splits.values()))[0].format)):
            if name != "voc" and wanted is None:
                notes += _unread(folder, splits, kinds)
            names = names_beside(folder) if name == "yolo" else None
            return DatasetDescriptor(folder, splits, names, tuple(notes))
    return None


def unread_files(folder: Path) -> list[str]:
    """What lies in a folder and could be annotations, and why it is not read: a line for each file."""
    return _sentences(folder, set(), _Kinds())


def coco_source(path: Path, root: Path) -> SplitSource:
    """The source for a JSON, or for a folder of COCO images whose JSON has to be found; DataError if there is none."""
    if not path.is_dir():
        return SplitSource(path, "coco")
    folder = path
    places = [folder / _ROBOFLOW_JSON] + [
        base / f"{prefix}{folder.name}.json"
        for base in (root / "annotations", folder.parent / "annotations", folder.parent.parent / "annotations")
        for prefix in ("instances_", "")
    ]
    found = next((place for place in places if is_file(place)), None)
    if found is None:
        tried = "".join(f"\n  {printable(place)}" for place in places)
        raise DataError(f"{printable(folder)}: no COCO annotation file belongs to this folder; tried{tried}")
    return SplitSource(found, "coco", folder)


def csv_source(path: Path) -> SplitSource:
    """The source for a CSV file, or for a folder of images with one in it; DataError if there is none."""
    if not path.is_dir():
        return SplitSource(path, "csv")
    found = _box_csv_in(path)
    if found is None:
        raise DataError(f"{printable(path)}: there is no CSV file of boxes, such as {_ROBOFLOW_CSV}, in this folder")
    return SplitSource(found, "csv", path)


def recognise_source(path: Path) -> SourceFormat:
    """The format of one source of a dataset YAML.

    >>> recognise_source(Path("VOC2007/ImageSets/Main/train.txt"))
    'voc'
    """
    if is_file(path / _ROBOFLOW_JSON):
        return "coco"
    if is_file(path / _ROBOFLOW_CSV):
        return "csv"
    if path.is_dir():
        return "voc" if has_voc_annotations(path) else "yolo"
    if path.suffix.lower() in (".json", ".csv", ".tsv", ".xml"):
        found = kind_of_file(path).format
        return found or ("csv" if path.suffix.lower() in (".csv", ".tsv") else "coco")
    return "voc" if "ImageSets" in path.parts else "yolo"


def _voc(folder: Path, notes: list[str], _: _Kinds) -> Splits:
    roots = _voc_roots(folder) or _voc_roots(folder / "VOCdevkit")
    if not roots:  # one tree per split, as labelling services export it
        return grouped((named for named in _split_folders(folder) if has_voc_annotations(named[1])), "voc")
    sources: list[tuple[str, Path]] = []
    for root in roots:
        lists = [(name, root / "ImageSets" / "Main" / f"{name}.txt") for name in VOC_LISTS]
        lists = [(name, path) for name, path in lists if is_file(path)]
        if not lists and (root / "ImageSets").is_dir():  # CVAT's is called default.txt
            names = ", ".join(f"{name}.txt" for name in VOC_LISTS)
            notes.append(f"{printable(root)}: ImageSets/Main has none of {names}: all annotations are used")
        sources += lists or [("train", root)]
    return grouped(sources, "voc")


def _voc_roots(folder: Path) -> list[Path]:
    """The folder itself, or the `VOC2007`, `VOC2012`, ... in it."""
    if has_voc_annotations(folder):
        return [folder]
    return [child for child in _folders(folder) if child.name.startswith("VOC") and has_voc_annotations(child)]


def _coco(folder: Path, _: list[str], kinds: _Kinds) -> Splits:
    exported = [(name, part / _ROBOFLOW_JSON, part) for name, part in _split_folders(folder)]
    splits: Splits = {name: (SplitSource(path, "coco", part),) for name, path, part in exported if is_file(path)}
    for place in (folder / "annotations", folder):
        if not splits:
            standard = sorted(place.glob("instances_*.json"))
            splits = _by_split(standard or kinds.of_format(place, "coco"), "coco")
    return splits


def _by_split(files: list[Path], source_format: SourceFormat) -> Splits:
    """Annotation files by the split in their names; a single one that speaks of none is train."""
    alone = [(name, path) for path in files if (name := split_called(path.stem)) is not None]
    inside = [(name, path) for path in files if (name := split_inside(path.stem)) is not None]
    splits = grouped(alone or inside, source_format)
    if not splits and len(files) == 1:
        return {"train": (SplitSource(files[0], source_format),)}
    twice = next(((name, sources) for name, sources in splits.items() if len(sources) > 1), None)
    if twice is not None or (files and not splits):
        split, sources = twice or ("train", tuple(SplitSource(path, source_format) for path in files))
        names = ", ".join(printable(source.path.name) for source in sources)
        raise DataError(
            f"{printable(files[0].parent)}: several annotation files for {split} ({names}); "
            "say which ones are meant in a dataset YAML"
        )
    return splits


def _csv(folder: Path, _: list[str], kinds: _Kinds) -> Splits:
    """train/_annotations.csv, ...; train.csv or train_labels.csv, ...; or a single file that is not divided."""
    exported = [(name, _box_csv_in(part), part) for name, part in _split_folders(folder)]
    splits: Splits = {name: (SplitSource(path, "csv", part),) for name, path, part in exported if path is not None}
    for place in (folder, folder / "annotations", folder / "data"):
        if not splits:
            files = [path for path in kinds.of_format(place, "csv") if path.name != "extra.csv"]
            single = _box_csv_in(place)
            in_splits = [path for path in files if split_inside(path.stem) is not None]
            splits = _by_split(in_splits or ([single] if single else files), "csv")
    return splits


def _box_csv_in(folder: Path) -> Path | None:
    places = (folder / name for name in _SINGLE_CSVS)
    return next((place for place in places if is_file(place) and is_box_csv(place)), None)


def _tools(folder: Path, _: list[str], kinds: _Kinds) -> Splits:
    """What annotation tools write: a file per split, a single one, or with labelme one per image."""
    for source_format in TOOL_FORMATS:
        parts = [(name, part) for name, part in _split_folders(folder)]
        if source_format == "labelme":
            splits = grouped(((name, one) for name, part in parts for one in _labelme_in(part, kinds)), "labelme")
            if not splits and (single := _labelme_in(folder, kinds)):
                splits = grouped((("train", one) for one in single), "labelme")
        else:
            own = [(name, path, part) for name, part in parts for path in kinds.of_format(part, source_format)[:1]]
            splits = {name: (SplitSource(path, source_format, part),) for name, path, part in own}
            for place in (folder, folder / "annotations"):
                if not splits:
                    splits = _by_split(kinds.of_format(place, source_format), source_format)
        if splits:
            return splits
    return {}


def _labelme_in(folder: Path, kinds: _Kinds) -> list[Path]:
    """The folder with the files of labelme: this one, or one in it."""
    places = [folder, *(folder / name for name in ("annotations", "labels", "json", "jsons", "images"))]
    return [place for place in places if kinds.of_format(place, "labelme")][:1]


def _yolo(folder: Path, _: list[str], __: _Kinds) -> Splits:
    """From the most telling to the least: images/train, train/images, train/, train.txt, images/, the folder."""
    nested = [named for named in _split_folders(folder / "images") if _has_images(named[1])]
    if nested:
        return grouped(nested, "yolo")
    outside = [
        (name, part / "images" if (part / "images").is_dir() else part)
        for name, part in _split_folders(folder)
        if _has_images(part)
    ]
    if outside:
        return grouped(outside, "yolo")
    texts = sorted(folder.glob("*.txt"))
    alone = [(name, path) for path in texts if (name := split_called(path.stem)) is not None]
    inside = [(name, path) for path in texts if (name := split_inside(path.stem)) is not None and is_image_list(path)]
    if listed := alone or inside:
        return grouped(listed, "yolo")
    for place in (folder / "images", folder):
        if _has_images(place):
            return {"train": (SplitSource(place, "yolo"),)}
    return {}


def _unread(folder: Path, splits: Splits, kinds: _Kinds) -> list[str]:
    """Notes on the files beside a dataset that could be annotations and are not read.

    Raises:
        DataError: images without any label file lie beside such a file, or it is damaged and named for a split that
            is lacking.
    """
    used: set[Path | SourceFormat] = {source.path for sources in splits.values() for source in sources}
    if any(source.format == "labelme" for sources in splits.values() for source in sources):
        used.add("labelme")  # the source is the folder of the files
    sentences = _sentences(folder, used, kinds)
    source = next(iter(splits.values()))[0]
    if sentences and source.format == "yolo" and not _has_labels(folder, splits):
        raise DataError(
            f"{printable(folder)}: its images have no label files, and what lies beside them is not read:"
            + "".join(f"\n  {sentence}" for sentence in sentences)
        )
    own = [(split_called(path.stem) or split_inside(path.stem), path) for path, _ in kinds.files(source.path.parent)]
    own += [(name, path) for name, part in _split_folders(folder) for path, _ in kinds.files(part)]
    for name, path in own:
        kind = kinds.of(path)
        if kind.message and name in {"train", "val"} - splits.keys() and path.suffix == source.path.suffix:
            raise DataError(with_path(path, kind.message))
    return [f"not read: {sentence}" for sentence in sentences]


def _sentences(folder: Path, used: set[Path | SourceFormat], kinds: _Kinds) -> list[str]:
    places = [folder, folder / "annotations", folder / "labels", folder / "images"]
    places += [part for _, part in _split_folders(folder)]
    return [sentence for place in places for sentence in _sentences_of(place, used, kinds)]


def _sentences_of(folder: Path, used: set[Path | SourceFormat], kinds: _Kinds) -> Iterator[str]:
    """For each file of a folder that is not used what it is; of one kind the first, and how many more there are."""
    same: dict[str, list[Path]] = {}
    for path, kind in kinds.files(folder):
        if path in used or kind.format in used or kind.harmless or path.name == "extra.csv":
            continue
        message = kind.message or f"is {kind.format}, another format than what is read here; to read it, name it"
        same.setdefault(message, []).append(path)
    for message, paths in same.items():
        more = f" ({len(paths) - 1} more such files)" if len(paths) > 1 else ""
        yield with_path(paths[0], message) + more


def _has_labels(folder: Path, splits: Splits) -> bool:
    sources = [source for sources in splits.values() for source in sources]
    return any(is_file(entry.label_file) for source in sources for entry in list_yolo(source.path, folder))


def _split_folders(folder: Path) -> list[tuple[str, Path]]:
    named = [(split_called(child.name), child) for child in _folders(folder)]
    return [(name, child) for name, child in named if name is not None]


def _folders(folder: Path) -> list[Path]:
    return sorted(child for child in folder.iterdir() if child.is_dir()) if folder.is_dir() else []


def _has_images(folder: Path) -> bool:
    """Whether there is an image in the folder or one or two levels below; stops at the first."""
    if not folder.is_dir():
        return False
    return any(is_image_name(path.name) for pattern in ("*", "*/*", "*/*/*") for path in folder.glob(pattern))
