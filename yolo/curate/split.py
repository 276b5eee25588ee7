"""`gridyolo data split`: divide a dataset into train, val and test by lists, and show what each part has.

    train.txt val.txt test.txt     all images of a part, one path a line
    sources/train-1.txt ...        the same by source, where a dataset has several that are not YOLO
    dataset.yaml                   reads the old annotations by these lists

Nothing of the dataset is moved or copied. Images are divided at random, with the classes in equal shares, or in whole
groups. A seed gives each file name the same part again, in whatever order the files are listed; no part is empty.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import numpy as np
import yaml
from rich.console import Console

from yolo.arrays import Bool, Int64
from yolo.config import DataSplitConfig
from yolo.console import print_table, say
from yolo.curate.write import require_outside
from yolo.data.entries import OpenFiles, list_entries
from yolo.data.find import SplitSource
from yolo.data.read import DatasetDescriptor, Split, find_dataset, read_split
from yolo.errors import ConfigError, DataError, printable
from yolo.files import atomic_folder, require_free
from yolo.formats.objects import AnnotatedImages
from yolo.structures import AnnotatedImage

GroupBy = Literal["folder", "prefix", "regex"]

_SHOWN_CLASSES = 100
# The number at the end of a name, of a frame for example, with what sets it off; only one, or else cam1_07 and cam2_07
# would be one group.
_RUNNING_NUMBER = re.compile(r"[\s_.\-()\[\]#]*\d+[\s_.\-()\[\]#]*$")


def split(config: DataSplitConfig, console: Console) -> Path:
    """Divide all images of a dataset, whatever split they are in now; nothing is moved.

    Returns:
        The path of the new `dataset.yaml`.

    Raises:
        ConfigError: a bad pattern, or an output inside the dataset.
        DataError: the dataset cannot be read or divided, or the output is in use.
    """
    output = Path(config.output).expanduser()
    require_free(output)
    descriptor = _without_hold_out(find_dataset(Path(config.data)))
    splits = [read_split(descriptor, name) for name in descriptor.splits]
    for found in splits:
        say(console, *found.report.summary_lines())
    require_outside(output, Path(config.data), descriptor, splits, option="--output")
    images, class_names = _pooled(splits), splits[0].class_names
    shares = {"train": 1 - config.val - config.test, "val": config.val, "test": config.test}
    shares = {name: share for name, share in shares.items() if share > 0}
    part_of = _divide(config, images, descriptor.root, list(shares.values()), num_classes=len(class_names))
    parts = {name: images.take(np.flatnonzero(part_of == number)) for number, name in enumerate(shares)}
    paths = {name: list(part.paths) for name, part in parts.items()}
    path = _write_lists(descriptor, paths, output, class_names=class_names)
    say(console, "images and objects")
    print_table(console, _table(parts, class_names))
    warnings = _missing_classes(parts, class_names)
    say(console, *(f"warning: {warning}" for warning in warnings), f"dataset: {printable(path)}")
    return path


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


def _divide(
    config: DataSplitConfig, images: AnnotatedImages, root: Path, shares: Sequence[float], *, num_classes: int
) -> Int64:
    base = os.path.join(os.path.normpath(root), "")  # noqa: PTH118  (of text, as there are many)
    names = [os.path.normpath(path).removeprefix(base).replace(os.sep, "/") for path in images.paths]
    if config.by == "group":
        groups = group_names(names, config.group, pattern=config.pattern)
        return split_groups(groups, shares, seed=config.seed)
    if config.by == "stratified":
        return split_stratified(names, images, shares, num_classes=num_classes, seed=config.seed)
    return split_randomly(names, shares, seed=config.seed)


def _counts(images: AnnotatedImages, num_classes: int) -> tuple[Int64, Int64]:
    """How many images have each class, and how many objects there are of it: two of (C,)."""
    labels = images.objects.labels
    on_images = np.unique(np.stack([images.image_index, labels]), axis=1)[1]
    return np.bincount(on_images, minlength=num_classes), np.bincount(labels, minlength=num_classes)


def _missing_classes(parts: Mapping[str, AnnotatedImages], class_names: Sequence[str]) -> tuple[str, ...]:
    objects = {name: _counts(images, len(class_names))[1] for name, images in parts.items()}
    total = np.sum(list(objects.values()), axis=0)
    return tuple(
        f"class {class_name!r} has no object in {name}, and {total[label]} in all"
        for label, class_name in enumerate(class_names)
        for name in parts
        if total[label] and not objects[name][label]
    )


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
        (building / "dataset.yaml").write_text(text, encoding="utf-8", newline="\n")
    return folder / "dataset.yaml"


def _path_text(path: Path | str, start: Path) -> str:
    """A path for a list or a YAML that lies in `start`: relative, or absolute where `..` could lead elsewhere.

    Raises:
        DataError: it does not fit in a line.
    """
    text = os.path.normpath(path)
    folder, name = os.path.split(text)
    if _is_physical(os.fspath(start)) and _is_physical(folder):
        with contextlib.suppress(ValueError):  # another drive
            text = os.path.join(os.path.relpath(folder, start), name)  # noqa: PTH118  (of text, as there are many)
    text = Path(text).as_posix()
    if printable(text) != text or "\\" in text or text != text.strip() or len(text.splitlines()) > 1:
        raise DataError(f"{printable(path)!r} does not fit in a line of a list; rename it")
    return text


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


def split_randomly(names: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Draw parts whose sizes are the shares of n, rounded so that they add up.

    Args:
        names: (n,) of the images, each once.
        shares: of the parts, above 0; their sum is 1.
        seed: of the order.

    Returns:
        (n,) the part of each image.

    Raises:
        DataError: fewer images than parts.
    """
    _require_enough(len(names), len(shares), "images")
    parts = np.zeros(len(names), np.int64)
    parts[_drawn_order(names, seed)] = np.repeat(np.arange(len(shares)), _sizes(len(names), shares))
    return parts


def split_stratified(
    names: Sequence[str], images: AnnotatedImages, shares: Sequence[float], *, num_classes: int, seed: int
) -> Int64:
    """Give every part its share of each class, as nearly as can be: iterative stratification.

    Again and again the class is taken that is on the fewest images without a part. Each of these images, in drawn
    order, goes to the part that lacks most images of this class; of equal ones to that which lacks most images at all,
    then to the first. Images without objects come last and fill up. Rare classes are thus divided while there is
    still a choice; the sizes of the parts are near the shares, not exactly them. (Sechidis, Tsoumakas, Vlahavas: On the
    Stratification of Multi-Label Data, 2011.)

    Arguments, result and errors are those of `split_randomly`; `images` are in the order of the names.
    """
    _require_enough(len(names), len(shares), "images")
    order = _drawn_order(names, seed)
    has_class = np.zeros((len(images), num_classes), np.bool_)
    has_class[images.image_index, images.objects.labels] = True
    has_class = has_class[order]
    left = has_class.sum(axis=0)  # (C,) images without a part
    lacking = np.outer(shares, left)  # (P, C) images of each class that each part lacks
    lacking_in_all = np.asarray(shares) * len(names)  # (P,)
    parts, sizes = np.full(len(names), -1, np.int64), np.zeros(len(shares), np.int64)
    while (waiting := parts < 0).any():
        present = np.flatnonzero(left)
        rarest = present[np.argmin(left[present])] if len(present) else None  # None: those left have no objects
        short = lacking_in_all if rarest is None else lacking[:, rarest]  # a view, which changes below
        for place in np.flatnonzero(waiting if rarest is None else waiting & has_class[:, rarest]).tolist():
            allowed = _allowed(sizes, len(names) - sizes.sum())
            # rounded, as sums of shares are not exact
            part = np.lexsort((-np.round(lacking_in_all, 6), -np.round(short, 6), ~allowed))[0]
            parts[place] = part
            lacking[part, has_class[place]] -= 1
            lacking_in_all[part] -= 1
            left[has_class[place]] -= 1
            sizes[part] += 1
    result = np.empty_like(parts)
    result[order] = parts
    return result


def split_groups(groups: Sequence[str], shares: Sequence[float], *, seed: int) -> Int64:
    """Keep groups whole, see `group_names`: the largest first, each to the part that lacks most images."""
    counts = Counter(groups)
    _require_enough(len(counts), len(shares), "groups")
    names = list(counts)
    drawn = [names[place] for place in _drawn_order(names, seed)]
    lacking = np.asarray(shares) * len(groups)
    members = np.zeros(len(shares), np.int64)
    part_of: dict[str, int] = {}
    for number, name in enumerate(sorted(drawn, key=lambda name: -counts[name])):
        part = int(np.argmax(np.where(_allowed(members, len(drawn) - number), lacking, -np.inf)))
        part_of[name] = part
        members[part] += 1
        lacking[part] -= counts[name]
    return np.array([part_of[name] for name in groups], np.int64)


def group_names(paths: Sequence[str], by: GroupBy, *, pattern: str = "") -> list[str]:
    """The group of each image.

    Args:
        paths: of the images below the dataset, with forward slashes.
        by: `folder`; `prefix`, the file's name without the number at its end; `regex`.
        pattern: of `regex`: searched in the path; its first bracket, or all of the match, is the group.

    Raises:
        ConfigError: the pattern is not a regular expression.
        DataError: it does not match a path.

    >>> group_names(["a/shot-0001.jpg", "b/shot-0002.jpg"], "prefix")
    ['shot', 'shot']
    >>> group_names(["a/shot-0001.jpg", "b/shot-0002.jpg"], "regex", pattern="^(.)/")
    ['a', 'b']
    """
    if by == "folder":
        return [PurePosixPath(path).parent.as_posix() for path in paths]
    if by == "prefix":
        return [_RUNNING_NUMBER.sub("", PurePosixPath(path).stem) for path in paths]
    try:
        regex = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"--pattern {pattern!r} is not a regular expression ({error})") from error
    matches = [regex.search(path) for path in paths]
    found = [match and match[min(1, regex.groups)] for match in matches]
    missed = [path for path, group in zip(paths, found, strict=True) if group is None]
    if missed:
        raise DataError(
            f"--pattern {pattern!r} finds no group in {len(missed)} of {len(paths)} images, the first is {missed[0]!r}"
        )
    return [group for group in found if group is not None]


def _allowed(sizes: Int64, num_left: int) -> Bool:
    """(P,) the parts that may have the next one: the empty ones alone, once what is left only just fills these."""
    empty = sizes == 0
    return empty if num_left <= empty.sum() else np.ones_like(empty)


def _drawn_order(names: Sequence[str], seed: int) -> Int64:
    """A permutation of the names that depends on them and the seed, not on their order."""

    def draw(name: str) -> bytes:
        return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).digest()

    ranked = sorted(range(len(names)), key=lambda place: (draw(names[place]), names[place]))
    return np.array(ranked, np.int64)


def _sizes(count: int, shares: Sequence[float]) -> list[int]:
    """Whole sizes that add up to `count`: shares rounded down, the largest remainders up, none of them 0.

    >>> _sizes(10, [0.75, 0.25]), _sizes(3, [0.98, 0.01, 0.01])
    ([8, 2], [1, 1, 1])
    """
    exact = [count * share for share in shares]
    sizes = [int(size + 1e-9) for size in exact]
    for place in sorted(range(len(shares)), key=lambda place: sizes[place] - exact[place])[: count - sum(sizes)]:
        sizes[place] += 1
    while 0 in sizes:
        sizes[sizes.index(max(sizes))] -= 1
        sizes[sizes.index(0)] += 1
    return sizes


def _require_enough(count: int, parts: int, what: str) -> None:
    if count < parts:
        raise DataError(f"{count} {what} cannot be divided into {parts} parts")
