"""Names for what is written of each image: like its file, each once, and possible on every system."""

from __future__ import annotations

import glob
import hashlib
import re
import unicodedata
from pathlib import Path, PurePath
from urllib.parse import unquote, urlsplit

from yolo.errors import printable
from yolo.files import expand_home
from yolo.http import has_scheme

# What Windows or a shell would take for something else.
_IMPOSSIBLE = re.compile(r'[<>:"|?*\\/]')
_FRAME = re.compile(r"(?P<video>.*)_\d{6,}")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
# Systems allow 255 bytes; a number, a suffix and what temporary names add have to fit as well.
_MAX_BYTES = 180
_HASH_DIGITS = 8


class OutputNames:
    """Gives each image a name, without suffix, relative to the run folder.

    Images of a folder keep the folders below it: `sub/a` for `photos/sub/a.jpg` of the source `photos`. A video has a
    name like an image, which its frames begin with, `clip_000012`. Of equal names the second becomes `a-2`.

    Args:
        source: the source as given, or several.
    """

    def __init__(self, source: str | tuple[str, ...] = ()) -> None:
        sources = (source,) if isinstance(source, str) else source
        self._roots = [root for one in sources if (root := _root_of(one)) is not None]
        self._taken: set[str] = set()
        self._latest: dict[str, int] = {}  # number that the last of equal names has, by what they have in common
        self._like_videos: set[str] = set()  # which have an image that is called as a frame of theirs
        self._videos: dict[str, tuple[str, int]] = {}  # name and latest frame of each video, by source
        self._video_names: set[str] = set()  # of all, also of those that came again

    def of_file(self, source: str | None, frame: int | None) -> str:
        """The name for an image, or for the video that a frame is of."""
        return self.of_image(source) if frame is None else self.of_video(source, frame)

    def of_image(self, source: str | None) -> str:
        """The name for an image: another one with each call."""
        return self._free(self._plain(source or "image"))

    def of_text(self, text: str) -> str:
        """A name for a text, such as that of a class, which has no suffix and is in no folder."""
        return self._free(safe_name(text))

    def _free(self, plain: str) -> str:
        count = self._latest.get(_key(plain), 1)
        name = plain if count == 1 else f"{plain}-{count}"
        while self._is_taken(name):
            count += 1
            name = f"{plain}-{count}"
        self._latest[_key(plain)] = count
        self._taken.add(_key(name))
        if frame := _FRAME.fullmatch(_key(name)):
            self._like_videos.add(frame["video"])
        return name

    def of_part(self, video: str) -> str:
        """The name for one more file of a video that has a name."""
        return self._free(video)

    def of_video(self, source: str | None, frame: int) -> str:
        """The name for the video of a frame. The same video anew, from an earlier frame on, has another name."""
        source = source or "video"
        name, latest = self._videos.get(source, ("", frame))
        if frame <= latest:
            name = self.of_image(source)
            while _key(name) in self._like_videos:
                name = self.of_image(source)
        self._videos[source] = name, frame
        self._video_names.add(_key(name))
        return name

    def _is_taken(self, name: str) -> bool:
        frame = _FRAME.fullmatch(_key(name))
        return _key(name) in self._taken or (frame is not None and frame["video"] in self._video_names)

    def _plain(self, source: str) -> str:
        """The name that the source has, which others may have as well."""
        if has_scheme(source):
            address = urlsplit(source)
            last = unquote(address.path).rstrip("/").rpartition("/")[2]
            return safe_name(PurePath(last).stem or address.hostname or "")
        path = PurePath(source)
        root = next((root for root in self._roots if path.is_relative_to(root)), None)
        if root is not None:
            path = path.relative_to(root)
            return "/".join(map(safe_name, (*path.parts[:-1], path.stem)))
        return safe_name(path.stem)


def _key(name: str) -> str:
    """What systems that make no difference between cases or Unicode forms take a name for."""
    return unicodedata.normalize("NFC", name).casefold()


def _root_of(source: str) -> PurePath | None:
    """The folder that a source stands for, or whose files a pattern matches; None for anything else."""
    if not source or has_scheme(source):
        return None
    path = expand_home(source)
    if path.is_dir():
        return PurePath(printable(path))
    if path.exists() or not glob.has_magic(source):
        return None
    parts = path.parts
    first = next(place for place, part in enumerate(parts) if glob.has_magic(part))
    return PurePath(printable(Path(*parts[:first])))


def safe_name(text: str) -> str:
    """A name that a file can have on every system, without folders; a long one ends with its hash.

    >>> safe_name("a/b: c?"), safe_name("CON"), safe_name("..."), safe_name("")
    ('a_b_ c_', '_CON', '_', 'image')
    """
    name = _IMPOSSIBLE.sub("_", printable(text)).rstrip(" .")
    if text and not name:
        name = "_"
    if name.startswith("."):  # would be hidden
        name = "_" + name[1:]
    if _RESERVED.fullmatch(name):
        name = "_" + name
    if len(name.encode()) > _MAX_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]
        name = name.encode()[: _MAX_BYTES - _HASH_DIGITS - 1].decode(errors="ignore") + "~" + digest
    return name or "image"
