"""The sizes of the images of a split: from the header of each file, or as the annotation states them.

Left out: reading a header (images.py) and decoding.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from yolo.data.account import DataAccount, printable
from yolo.data.listing import Listings, is_file
from yolo.errors import ImageReadError
from yolo.images import read_size

SizePolicy = Literal["read", "stated", "auto"]

# So many headers are read in a second or so; the images of a larger split are trusted where the policy is `auto`.
AUTO_READS = 20_000
_LARGEST_SIDE = 2**31 - 1


class ImageSizes:
    """Height and width of images.

    Args:
        account: receives the images that are missing or unreadable.
        trust: take the stated size where there is one, and look whether the file is there.
    """

    def __init__(self, account: DataAccount, *, trust: bool) -> None:
        self.account = account
        self.trust = trust
        self.trusted = 0
        self._listings = Listings()

    def of(self, image: str, stated: tuple[Any, Any] = (None, None), *, detail: str = "") -> tuple[int, int] | None:
        """Height and width in pixels; None, and an entry in the account, if the image is missing or unreadable.

        Args:
            image: the file.
            stated: height and width by the annotation; anything but whole positive numbers is no size.
            detail: what else is lost with the image, appended to the message.
        """
        if self.trust and _is_side(stated[0]) and _is_side(stated[1]):
            if self._listings.has_file(image) or is_file(image):
                self.trusted += 1
                return stated
        elif is_file(image):
            try:
                return read_size(Path(image))
            except ImageReadError as error:
                reason = str(error).removeprefix(f"{image}: ")
                self.account.drop_image(image, "image_unreadable", f"{reason}{detail}")
                return None
        self.account.drop_image(image, "image_missing", f"there is no such image file{detail}")
        return None

    def note(self) -> None:
        """Say in the account how many sizes were trusted, if any."""
        if self.trusted:
            self.account.notes.append(
                f"the sizes of {self.trusted} images are those that the annotations state; "
                "each is checked when its image is decoded"
            )

    def compare(self, size_hw: tuple[int, int], stated: tuple[Any, Any], *, path: Path, where: str, image: str) -> None:
        """Record it where the annotation states another size than the file has.

        Args:
            size_hw: of the file.
            stated: height and width by the annotation; None where it has none.
            path: the annotation file.
            where: the entry in it.
            image: the image file.
        """
        if any(side is not None for side in stated) and stated != size_hw:
            height, width = size_hw
            message = f"the file says {stated[1]} x {stated[0]} for {Path(image).name}, it is {width} x {height}"
            self.account.add_issue(path, where, "size_mismatch", printable(message)[:300], image=image)


def _is_side(value: Any) -> bool:
    return type(value) is int and 0 < value <= _LARGEST_SIDE
