"""`gridyolo data split`: divide a dataset into train, val and test by lists, and show what each part has.

    train.txt val.txt test.txt     all images of a part, one path a line
    sources/train-1.txt ...        the same by source, where a dataset has several that are not YOLO
    dataset.yaml                   reads the old annotations by these lists

Nothing of the dataset is moved or copied. A test split that there is already stays, as numbers measured on it would
mean nothing after training on its images. Files of the same bytes are never in two parts. Left out: how images are
divided (divide.py), and copies that are only alike (`data check` finds these).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from rich.console import Console

from yolo.arrays import Int64
from yolo.config import DataSplitConfig
from yolo.console import counted, print_table, say, warn
from yolo.curate.divide import CopiesOf, group_names, joined_groups, split_groups, split_randomly, split_stratified
from yolo.curate.write import require_outside
from yolo.data.descriptor import SplitSource
from yolo.data.entries import OpenFiles, list_entries
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import PERCENT, ConfigError, DataError, line_of_path, printable
from yolo.files import atomic_folder, require_free
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage

_SHOWN_MISSING = 10  # class names of a warning
_SHOWN_CLASSES = 100


def split(config: DataSplitConfig, console: Console) -> Path:
    """Divide the images of a dataset, whatever split they are in now, except those of its test split; nothing is moved.

    Returns:
        The path of the new `dataset.yaml`.

    Raises:
        ConfigError: a bad pattern, a share for a test split that there is already, or an output inside the dataset.
        DataError: the dataset cannot be read or divided, or the output is in use.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = _without_hold_out(find_dataset(Path(config.data)))
    keep_test = "test" in descriptor.splits and not config.resplit
    if keep_test and config.test:
        raise ConfigError(
            f"--test {config.test:g}: the dataset has a test split, which stays as it is; leave out --test, or add "
            "--resplit to divide all images anew"
        )
    splits = _read(descriptor, console, keep_test=keep_test)
    keep_test = keep_test and any(found.name == "test" for found in splits)
    require_outside(output, Path(config.data), descriptor, splits, option="--output")
    class_names = splits[0].class_names
    parts = _parts(config, splits, descriptor.root, console, keep_test=keep_test)
    paths = {name: list(part.paths) for name, part in parts.items()}
    path = _write_lists(descriptor, paths, output, class_names=class_names)
    say(console, "images and objects")
    print_table(console, _table(parts, class_names))
    warn(console, *_missing_classes(parts, class_names))
    return path


def _read(descriptor: DatasetDescriptor, console: Console, *, keep_test: bool) -> list[Split]:
    """All splits, without a test split that is to stay and has no annotations."""
    splits = []
    for name in descriptor.splits:
        try:
            splits.append(read_split(descriptor, name))
        except DataError as error:
            if name != "test" or not keep_test:
                raise
            warn(console, f"the test split is left out, as it cannot be measured on: {str(error).splitlines()[0]}")
            continue
        say(console, *splits[-1].report.summary_lines())
    return splits


def _parts(
    config: DataSplitConfig, splits: Sequence[Split], root: Path, console: Console, *, keep_test: bool
) -> dict[str, AnnotatedImages]:
    """The images of each part. Copies of an image are in one part, those of an image of the test split in no other."""
    test = _pooled([part for part in splits if part.name == "test"]) if keep_test else None
    images = _pooled(splits if test is None else [part for part in splits if part.name != "test"])
    copies = CopiesOf([*images.paths, *(() if test is None else test.paths)])
    if test is not None:
        say(console, f"the test split stays as it is ({len(test)} images); --resplit divides its images anew")
        in_test = {copies.first(path) for path in test.paths}
        free = np.asarray([copies.first(path) not in in_test for path in images.paths], bool)
        if not free.all():
            num_left = counted(int((~free).sum()), "image", "images")
            say(console, f"left out of the other parts, as the test split has the same image: {num_left}")
        images = images.take(np.flatnonzero(free))
        if not len(images):
            raise DataError("all images are in the test split, or copies of its images; --resplit divides them anew")
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    first_of = _first_copies(images, copies)
    if num_copies := int((first_of != np.arange(len(images))).sum()):
        text = counted(num_copies, "image is a copy of another one", "images are copies of other ones")
        say(console, f"{text}: in the same part")
    part_of = _divide(config, images, first_of, root, list(shares.values()), console)
    parts = {name: images.take(np.flatnonzero(part_of == number)) for number, name in enumerate(shares)}
    return parts if test is None else {**parts, "test": test}


def _without_hold_out(descriptor: DatasetDescriptor) -> DatasetDescriptor:
    """The dataset without the validation split that readers hold out where there is none."""
    splits = {
        name: tuple(replace(source, part="all") for source in sources)
        for name, sources in descriptor.splits.items()
        if any(source.part != "held_out" for source in sources)
    }
    if len(splits) == len(descriptor.splits):
        return descriptor
    return replace(descriptor, splits=splits, notes=tuple(note for note in descriptor.notes if "held out" not in note))


def _pooled(splits: Sequence[Split]) -> AnnotatedImages:
    """The images of all splits, each file once."""
    found: dict[str, AnnotatedImage] = {}
    for part in splits:
        for image in part.images:
            found.setdefault(os.path.normpath(image.path), image)
    return AnnotatedImages.of(found.values())


def _first_copies(images: AnnotatedImages, copies: CopiesOf) -> Int64:
    """(n,) for each image the place of its first copy, in the order of the names; its own where it has none."""
    keys = [copies.first(path) for path in images.paths]
    firsts: dict[str, int] = {}
    for place in sorted(range(len(keys)), key=lambda place: images.paths[place]):
        firsts.setdefault(keys[place], place)
    return np.asarray([firsts[key] for key in keys], np.int64)


def _divide(
    config: DataSplitConfig,
    images: AnnotatedImages,
    first_of: Int64,
    root: Path,
    shares: Sequence[float],
    console: Console,
) -> Int64:
    """The part of each image; `first_of` is the place of the first copy of each."""
    base = os.path.join(os.path.normpath(root), "")  # noqa: PTH118  (of text, as there are many)
    names = [os.path.normpath(path).removeprefix(base).replace(os.sep, "/") for path in images.paths]
    if config.by == "group":
        groups = group_names(names, config.group, pattern=config.pattern)
        joined = joined_groups(groups, first_of)
        count = len(set(joined))
        names = sorted(set(joined))[:3]
        shown = ", ".join(repr(printable(name)[:80]) for name in names)
        say(console, f"{counted(count, 'group', 'groups')} by {config.group}: {shown}{', ...' if count > 3 else ''}")
        return split_groups(joined, shares, seed=config.seed)
    originals, place_of = np.unique(first_of, return_inverse=True)
    own_names = [names[place] for place in originals.tolist()]
    if config.by == "stratified":
        own, classes = images.take(originals), int(images.objects.labels.max(initial=-1)) + 1
        return split_stratified(own_names, own, shares, num_classes=classes, seed=config.seed)[place_of]
    return split_randomly(own_names, shares, seed=config.seed)[place_of]


def _counts(images: AnnotatedImages, num_classes: int) -> tuple[Int64, Int64]:
    """How many images have each class, and how many objects there are of it: two of (C,)."""
    labels = images.objects.labels
    on_images = np.unique(np.stack([images.image_index, labels]), axis=1)[1]
    return np.bincount(on_images, minlength=num_classes), np.bincount(labels, minlength=num_classes)


def _missing_classes(parts: Mapping[str, AnnotatedImages], class_names: Sequence[str]) -> tuple[str, ...]:
    objects = {name: _counts(images, len(class_names))[1] for name, images in parts.items()}
    total = np.sum(list(objects.values()), axis=0)
    return tuple(
        _missing_in(name, [class_names[label] for label in np.flatnonzero((counts == 0) & (total > 0)).tolist()])
        for name, counts in objects.items()
        if ((counts == 0) & (total > 0)).any()
    )


def _missing_in(part: str, missing: Sequence[str]) -> str:
    """The classes that have objects, but none in this part.

    >>> _missing_in("val", ["cat", "dog"])
    "2 classes have no object in val, only in other parts: 'cat', 'dog'"
    """
    shown = ", ".join([repr(name) for name in missing[:_SHOWN_MISSING]] + ["..."] * (len(missing) > _SHOWN_MISSING))
    count = counted(len(missing), "class has", "classes have")
    return f"{count} no object in {part}, only in other parts: {shown}"


def _table(parts: Mapping[str, AnnotatedImages], class_names: Sequence[str]) -> list[list[str]]:
    rows = [["class", *(title for name in parts for title in (f"{name} images", f"{name} objects"))]]
    counts = [column for images in parts.values() for column in _counts(images, len(class_names))]
    for label, class_name in enumerate(class_names[:_SHOWN_CLASSES]):
        rows.append([printable(class_name), *(str(column[label]) for column in counts)])
    if len(class_names) > _SHOWN_CLASSES:
        rows.append([f"and {len(class_names) - _SHOWN_CLASSES} more", *[""] * len(counts)])
    totals = [str(count) for images in parts.values() for count in (len(images), len(images.objects))]
    return [*rows, ["all", *totals]]


def _write_lists(
    descriptor: DatasetDescriptor, parts: Mapping[str, Sequence[str]], folder: Path, *, class_names: Sequence[str]
) -> Path:
    """Write the lists and the YAML into a new folder; the path of the YAML.

    Paths are relative, so that dataset and lists can be moved together; absolute where a link lies between them, or
    another drive. `parts` has the absolute paths of the images of each part.
    """
    folder = Path(os.path.abspath(folder))  # noqa: PTH100  (no links are resolved)
    images_of = _images_by_source(descriptor)
    plain = all(source.format == "yolo" and not source.names and not source.image_dir for source in images_of) and all(
        "images" in Path(path).parts[:-1] for paths in parts.values() for path in paths
    )
    content = _head(descriptor, folder, class_names)
    with atomic_folder(folder) as building:
        for part, paths in parts.items():
            _write_list(building / f"{part}.txt", paths, folder)
            if plain:
                content[part] = _path_text(folder / f"{part}.txt", descriptor.root)
                content["format"] = "yolo"
            else:
                content[part] = _sources(part, paths, images_of, descriptor.root, building=building, folder=folder)
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)
        (building / "dataset.yaml").write_text(text, encoding="utf-8", errors=PERCENT, newline="\n")
    return folder / "dataset.yaml"


def _path_text(path: Path | str, start: Path) -> str:
    """A path for a list or a YAML that lies in `start`: relative, or absolute where `..` could lead elsewhere."""
    text = os.path.normpath(path)
    folder, name = os.path.split(text)
    if _is_physical(os.fspath(start)) and _is_physical(folder):
        with contextlib.suppress(ValueError):  # another drive
            text = os.path.join(os.path.relpath(folder, start), name)  # noqa: PTH118  (of text, as there are many)
    return line_of_path(Path(text))


@cache
def _is_physical(folder: str) -> bool:
    """Whether no link is on the way to a folder, so that `..` means the same to everybody."""
    return os.path.realpath(folder) == os.path.normpath(folder)


def _images_by_source(descriptor: DatasetDescriptor) -> dict[SplitSource, set[str]]:
    """The sources of all splits, each once, and the paths of their images."""
    every = (replace(source, part="all") for sources in descriptor.splits.values() for source in sources)
    files = OpenFiles(descriptor.root)
    return {
        source: {os.path.normpath(entry.image) for entry in list_entries(source, files, report=None)}
        for source in dict.fromkeys(every)
    }


def _head(descriptor: DatasetDescriptor, folder: Path, class_names: Sequence[str]) -> dict[str, Any]:
    """What the YAML says besides its splits: the root and all rules of the old one."""
    rules = descriptor.rules
    content: dict[str, Any] = {"path": _path_text(descriptor.root, folder)}
    if descriptor.class_names is not None:
        content["names"] = list(descriptor.class_names)
    elif rules.keep is None and rules.rename:
        content["classes"] = list(class_names)
    elif rules.keep is None:
        # names that are not stated come from train, which is another one now
        content["names"] = list(class_names)
    if rules.keep is not None:
        content["classes"] = list(rules.keep)
    if rules.rename:
        content["rename"] = dict(rules.rename)
    if rules.category_ids is not None:
        content["category_ids"] = list(rules.category_ids)
    if descriptor.extra is not None:
        content["extra"] = _path_text(descriptor.extra, descriptor.root)
    return content


def _sources(
    part: str,
    paths: Sequence[str],
    images_of: Mapping[SplitSource, set[str]],
    root: Path,
    *,
    building: Path,
    folder: Path,
) -> list[dict[str, Any]]:
    """The sources of a part for the YAML, each with a list of its own."""
    left = dict.fromkeys(map(os.path.normpath, paths))
    found = []
    for number, (source, images) in enumerate(images_of.items(), start=1):
        own = [path for path in left if path in images]
        for path in own:
            del left[path]
        if not own:
            continue
        name = f"{part}.txt" if len(images_of) == 1 else f"sources/{part}-{number}.txt"
        _write_list(building / name, own, (folder / name).parent)
        content: dict[str, Any] = {"path": _path_text(source.path, root), "format": source.format}
        if source.names is not None:
            content["names"] = list(source.names)
        if source.image_dir is not None:
            content["images"] = _path_text(source.image_dir, root)
        found.append({**content, "only": _path_text(folder / name, root)})
    return found


def _write_list(path: Path, images: Sequence[str], folder: Path) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{_path_text(image, folder)}\n" for image in images), encoding="utf-8", newline="\n")
