"""What kinds of image files there are: by their names, by their first bytes, and which of them are read.

One list of suffixes for everything that looks for images. Pillow opens the formats that are named here and no others:
some that it knows start another program (EPS, PostScript) or ask the system to run a drawing (WMF, EMF).
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path, PurePath

from PIL import Image, features

# The usual ones come first, where a name without a suffix is tried with each.
_USUAL = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
_OTHERS = (
    ".jfif", ".jpe", ".mpo", ".apng", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm", ".pam",
    ".jp2", ".j2k", ".jpf", ".jpx", ".j2c", ".jpc", ".heic", ".heif", ".hif", ".avif",
    ".tga", ".ico", ".psd", ".dds", ".pcx", ".sgi", ".ras", ".qoi",
)  # fmt: skip
ORDERED_SUFFIXES = (*_USUAL, *_OTHERS)
IMAGE_SUFFIXES = frozenset(ORDERED_SUFFIXES)
EXTRA_SUFFIXES = (".heic", ".heif", ".hif", ".avif")  # of files that may need an extra
# what OpenCV writes and every program shows
WRITTEN_SUFFIXES = frozenset(_USUAL)
CAMERA_RAW = frozenset(
    {".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".orf", ".rw2", ".pef", ".srw"}
    | {".x3f", ".3fr", ".iiq", ".kdc", ".dcr", ".mrw", ".erf", ".mef", ".mos", ".rwl", ".gpr"}
)
# Pictures all the same: nobody should have to find out that they were left out.
UNREAD_SUFFIXES = CAMERA_RAW | {
    ".svg", ".svgz", ".pdf", ".eps", ".ps", ".ai", ".wmf", ".emf", ".exr", ".hdr", ".pfm", ".jxl", ".jxr", ".wdp",
    ".dcm", ".dicom", ".fits", ".fit", ".xcf", ".djvu", ".icns", ".cur",
}  # fmt: skip

_FORMATS = (
    "JPEG", "MPO", "PNG", "BMP", "DIB", "GIF", "TIFF", "WEBP", "AVIF", "HEIF", "JPEG2000", "PPM", "TGA", "ICO", "PSD",
    "DDS", "PCX", "SGI", "SUN", "QOI",
)  # fmt: skip
# The format that the first bytes of a file indicate, as messages name it.
_STARTS = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"BM....\0\0\0\0", "BMP"),
    (rb"GIF8[79]a", "GIF"),
    (rb"(?:II[*+]\0|MM\0[*+])", "TIFF"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"P[1-7]\s", "PNM"),
    (rb"P[Ff]\s", "PFM"),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", "JPEG 2000"),
    (rb"....ftypavi[fs]", "AVIF"),
    (rb"....ftyp(?:hei[cxms]|hev[cxms])", "HEIC"),
    (rb"....ftyp(?:mif1|msf1)", "HEIC"),
    (rb"....ftypcrx", "camera raw"),
    (rb"....ftyp", "video"),
    (rb"RIFF....AVI ", "video"),
    (rb"\x1a\x45\xdf\xa3", "video"),
    (rb"\x59\xa6\x6a\x95", "Sun raster"),
    (rb"8BPS", "PSD"),
    (rb"DDS ", "DDS"),
    (rb"\0\0\x01\0[^\0]\0", "ICO"),
    (rb"qoif", "QOI"),
    (rb"\x01\xda[\0\x01][\x01\x02]", "SGI"),
    (rb"\xff\x0a|\0\0\0\x0cJXL ", "JPEG XL"),
    (rb"#\?(?:RADIANCE|RGBE)", "Radiance HDR"),
    (rb"v/1\x01", "OpenEXR"),
    (rb"%PDF", "PDF"),
    (rb"%!PS|\xc5\xd0\xd3\xc6", "PostScript"),
    (rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)?<svg", "SVG"),
    (rb"(?i:\s*<!doctype html|\s*<html)", "web page"),
    (rb".{128}DICM", "DICOM"),
    (rb"SIMPLE  =", "FITS"),
    (rb"FUJIFILMCCD-RAW|IIRO|IIRS|IIU\0|MMOR|FOVb", "camera raw"),
    (rb"PK\x03\x04|\x1f\x8b|Rar!|7z\xbc\xaf", "archive"),
)
_KINDS = tuple((re.compile(pattern, re.DOTALL), kind) for pattern, kind in _STARTS)
# Those that are images and can be read, once what reads them is installed.
READ_KINDS = frozenset(
    {"JPEG", "PNG", "BMP", "GIF", "TIFF", "WebP", "PNM", "JPEG 2000", "AVIF", "HEIC", "Sun raster", "PSD", "DDS", "ICO"}
    | {"QOI", "SGI"}
)
FIRST_BYTES = 160  # so many tell the kind; SVG may have a longer comment in front
_EXTRA = "pip install 'gridyolo[heif]'"


def image_kind(data: bytes) -> str:
    r"""The format of a file by its first bytes, as messages name it; "" if they are not known.

    >>> image_kind(b"\xff\xd8\xff\xe0"), image_kind(b"\0\0\0\x18ftypheic"), image_kind(b"BMW.jpg")
    ('JPEG', 'HEIC', '')
    """
    return next((kind for pattern, kind in _KINDS if pattern.match(data)), "")


def is_unread_name(name: str) -> bool:
    """Whether a file name is that of a picture of a kind that is never read.

    >>> is_unread_name("IMG_1.CR2"), is_unread_name("a.jpg"), is_unread_name("._a.svg")
    (True, False, False)
    """
    return not name.startswith(".") and PurePath(name).suffix.lower() in UNREAD_SUFFIXES


def missing_extra(kind: str) -> str:
    """The command that makes files of this kind readable here; "" where they are readable or never will be."""
    if kind == "HEIC":
        return "" if find_spec("pillow_heif") is not None else _EXTRA
    if kind == "AVIF":
        return "" if features.check("avif") else _EXTRA
    return ""


def lacks_extra(path: Path) -> bool:
    """Whether a file needs an extra that is not installed; its content decides, as cameras name JPEGs `.heic`, too."""
    if path.suffix.lower() not in EXTRA_SUFFIXES:
        return False
    try:
        with path.open("rb") as file:
            return missing_extra(image_kind(file.read(FIRST_BYTES))) != ""
    except OSError:  # reading it will tell
        return False


def not_read(suffixes: Mapping[str, int]) -> list[str]:
    """A message about pictures that are not read, by suffix; nothing where there are none.

    >>> not_read({".cr2": 10, ".svg": 2})
    ['12 files were not read: 10 .cr2, 2 .svg; convert them to JPEG or PNG']
    >>> not_read({".svg": 0, ".pdf": 1})
    ['1 file was not read: 1 .pdf; convert it to JPEG or PNG']
    """
    counted = sorted(((count, suffix) for suffix, count in suffixes.items() if count), key=lambda one: (-one[0], one))
    if not counted:
        return []
    total, kinds = sum(suffixes.values()), ", ".join(f"{count} {suffix}" for count, suffix in counted)
    remedy = f"convert {'it' if total == 1 else 'them'} to JPEG or PNG"
    if any(suffix not in UNREAD_SUFFIXES for _, suffix in counted):
        remedy = f"HEIC and AVIF need {_EXTRA}"
        if any(suffix in UNREAD_SUFFIXES for _, suffix in counted):
            remedy += "; convert the others to JPEG or PNG"
    return [f"{total} {'file was' if total == 1 else 'files were'} not read: {kinds}; {remedy}"]


def unreadable_reason(kind: str) -> str:
    """Why a file of this kind is not read, as the end of a sentence that begins with its name."""
    if extra := missing_extra(kind):
        return f"is {_a(kind)} image, which needs {extra}"
    if kind and kind not in READ_KINDS:
        what = f"{_a(kind)}" if kind in ("video", "web page", "archive") else f"{_a(kind)} file"
        return f"is not an image that can be decoded, but {what}"
    return "is not an image that can be decoded"


def _a(word: str) -> str:
    return f"{'an' if word[0] in 'aAEIO' or word in ('FITS', 'SVG') else 'a'} {word}"


@contextmanager
def open_with_pillow(file: Path | bytes) -> Iterator[Image.Image]:
    """A file of one of the formats that are read, as Pillow opens it; it is decoded when asked for its pixels.

    Raises:
        OSError, ValueError, SyntaxError: what Pillow raises for others, and for damaged ones.
        Image.DecompressionBombError: it has too many pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # odd EXIF blocks, and the size, which has a limit of its own
        opened = io.BytesIO(file) if isinstance(file, bytes) else file
        if _is_heif(file):
            from pillow_heif import register_heif_opener

            register_heif_opener()
        with Image.open(opened, formats=_known_formats()) as image:
            yield image


def _is_heif(file: Path | bytes) -> bool:
    if find_spec("pillow_heif") is None:
        return False
    if isinstance(file, bytes):
        return image_kind(file[:FIRST_BYTES]) == "HEIC"
    with file.open("rb") as opened:
        return image_kind(opened.read(FIRST_BYTES)) == "HEIC"


def _known_formats() -> list[str]:
    Image.init()
    return [name for name in _FORMATS if name in Image.OPEN]
