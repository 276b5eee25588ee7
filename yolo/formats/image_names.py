r"""Which file an annotation file means by the name of an image: names travel badly from machine to machine.

A name is looked for as it stands in the likely folders, with `\` as `/`, and where it is an address by the path in
that. Where not one of the first names is found so, as after a move to another machine or in the exports of annotation
tools (`/home/me/x.jpg`, `data/obj_train_data/x.jpg`, `/data/upload/1/0a1b2c3d-x.jpg`), the images around the file are
matched by the ends of their paths. One of these rules holds for all names of a file.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from yolo.errors import DataError, printable, shown
from yolo.formats.paths import find_files, is_file, is_image_name, named_file
from yolo.http import has_scheme
from yolo.image_formats import ORDERED_SUFFIXES

_PROBED_IMAGES = 50  # so many are looked for to find an image folder
_MOST_FOLDERS = 5_000  # are searched for images that are not where they should be
# folders of annotations; their images lie beside them
_OF_ANNOTATIONS = frozenset({"annotations", "annotation", "labels", "data", "csv", "json", "xml"})
_MARKS = ("\\", "?", "://")  # of names that may not be plain paths
_UPLOADED = re.compile(r"[0-9a-f]{8}-")  # Label Studio puts this before the name of what is uploaded


class ImageNames:
    """The files of the images that an annotation file names.

    Attributes:
        folder: that the names are relative to.
        note: how the images are found, where not by their names as they stand; else empty.
    """

    def __init__(self, path: Path, names: Sequence[str], image_dir: Path | None = None) -> None:
        """Find the images.

        Args:
            path: of the annotation file.
            names: of all images in it.
            image_dir: what the names are relative to; None to look for it around the file.

        Raises:
            DataError: none of the places has one of the images; they are listed. Not with `image_dir`.
        """
        self.note = ""
        self._found: dict[str, str] = {}
        places = _likely_folders(path, names) if image_dir is None else [image_dir]
        probed = names[:_PROBED_IMAGES]
        place = next((one for one in places if any(is_file(_named(one, name)) for name in probed)), None)
        if place is not None:
            self.folder = place
            return
        if image_dir is None and not names:
            raise DataError(f"{printable(path)}: lists no images")
        for base in [image_dir] if image_dir is not None else _bases(path):
            self._found = files_by_ends(names, base)
            if self._found:
                self.folder = base
                self.note = note_of_ends(path, self._found)
                return
        if image_dir is None:
            tried = "".join(f"\n  {printable(_named(one, names[0]))}" for one in places)
            raise DataError(f"{printable(path)}: its images are not found; looked for the first one at{tried}")
        self.folder = image_dir

    def file_of(self, name: str) -> str:
        """The file of an image; where it is not there, the place where it should be."""
        return self._found.get(name) or _named(self.folder, name)


def plain_name(name: str) -> str:
    r"""A name with forward slashes; of an address the path in it, or the file that it asks Label Studio for.

    >>> plain_name("a\\b.jpg"), plain_name("https://x.org/i/a%20b.jpg"), plain_name("/data/local-files/?d=i/c.jpg")
    ('a/b.jpg', 'i/a b.jpg', 'i/c.jpg')
    """
    try:
        address = urlsplit(name)
        if asked := parse_qs(address.query).get("d"):
            return asked[0].replace("\\", "/")
        if has_scheme(name):
            return unquote(address.path).lstrip("/")
    except ValueError:  # it only looks like an address
        pass
    return name.replace("\\", "/")


def files_by_ends(names: Iterable[str], folder: Path) -> dict[str, str]:
    """The image below a folder for each name, by the name of its file and among several by the folders before it.

    Left out is what may be several images, and what would be one image under several names.
    """
    if not (folder.is_dir() and folder != folder.parent):
        return {}
    files: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for file in find_files(folder, is_image_name, most_folders=_MOST_FOLDERS):
        own = file.relative_to(folder).parts
        files[file.name].append(own)
        files[file.stem].append(own)  # of names without a suffix
    claims: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        parts = plain_name(name).rpartition("/")
        last = next((one for one in (parts[2], _UPLOADED.sub("", parts[2], count=1)) if one in files), None)
        if last is None or not (is_image_name(last) or not Path(last).suffix):
            continue
        before = parts[0].split("/")
        ranked = sorted((_agreeing(before, own[:-1]), own) for own in dict.fromkeys(files[last]))
        if len(ranked) == 1 or ranked[-1][0] > ranked[-2][0]:
            claims[ranked[-1][1]].append(name)
    return {own[0]: os.fspath(folder.joinpath(*file)) for file, own in claims.items() if len(set(own)) == 1}


def note_of_ends(path: Path, found: dict[str, str]) -> str:
    """The note about images that are found by the ends of their paths."""
    name, file = next(iter(found.items()))
    return (
        f"{printable(path.name)} says {shown(name)}, which is not there; its images are found by their names, this one "
        f"as {printable(file)}"
    )


def _agreeing(one: Sequence[str], other: Sequence[str]) -> int:
    """How many folders at the end of two paths are equal."""
    count = 0
    for first, second in zip(reversed(one), reversed(other), strict=False):
        if first != second:
            break
        count += 1
    return count


def _named(folder: Path, name: str) -> str:
    """The file of a name below a folder: with any image suffix where the name has none, as in Open Images."""
    file = named_file(folder, name)
    if is_image_name(name.rpartition("/")[2]) and not any(mark in name for mark in _MARKS):
        return file
    if is_file(file):
        return file
    plain = plain_name(name)
    if plain != name:
        file = named_file(folder, plain)
    if not is_image_name(plain.rpartition("/")[2]):
        candidates = [f"{file}{suffix}" for suffix in ORDERED_SUFFIXES]
        file = next(filter(is_file, candidates), candidates[0])
    return file


def _bases(path: Path) -> list[Path]:
    """The folders that are searched for images which are not where they should be."""
    parent = path.absolute().parent
    return [parent, *([parent.parent] if parent.name.lower() in _OF_ANNOTATIONS else [])]


def _likely_folders(path: Path, names: Sequence[str]) -> list[Path]:
    """Beside the file or beside its folder: for `annotations/instances_train2017.json` first `train2017/`."""
    words = re.split(r"[_.\-]", path.stem)
    count = len(words)
    spans = ["_".join(words[start:]) for start in range(count)] + ["_".join(words[:end]) for end in range(1, count)]
    spans += [span.rstrip("0123456789") for span in spans]
    parents = (path.parent.parent, path.parent)
    bases = [base for parent in parents for base in (parent, parent / "images")]
    named = [base / span for span in spans if span for base in bases]
    plain = [path.parent, path.parent / "images", path.parent / "data", path.parent.parent / "images"]
    places = dict.fromkeys([*named, *plain, path.parent.parent])
    return [place for place in places if place.is_dir()] or [path.parent]
