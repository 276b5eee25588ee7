"""`Result`: what a detector found on one image, with what it needs to be shown, saved and passed on.

Drawing (`yolo.media.drawing`) and what other programs take (`engine.result_exports`) are imported when asked for. Left
out: the files of a whole run (`engine.prediction_files`).
"""

from __future__ import annotations

import json
import operator
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo.boxes import xyxy_to_cxcywh
from yolo.structures import Detections

if TYPE_CHECKING:
    from yolo.engine.image_input import ImageInput

_INDICES = "detections are chosen by an integer, a slice, a mask or indices, not {!r}"


@dataclass(frozen=True, slots=True)
class StageSeconds:
    """Time that an image took, in seconds; in a batch its share of it."""

    preprocess: float = 0.0  # resizing and moving to the device
    inference: float = 0.0  # the network
    postprocess: float = 0.0  # decoding, suppression, restoring


@dataclass(frozen=True, slots=True)
class Detection:
    """One detection of a `Result`, in plain numbers."""

    box: tuple[float, float, float, float]  # x1 y1 x2 y2 in pixels of the image
    score: float
    label: int
    name: str  # of the class
    track_id: int | None = None  # where objects are tracked; None for none


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Result:
    """What was found on one image, by falling score.

    It has a length and is iterated detection by detection. An integer gives a `Detection`; a slice, a mask or several
    indices a `Result` of those. Tensors are on the CPU, so that `numpy.asarray(result.boxes)` copies nothing.
    """

    detections: Detections  # in pixels of the image
    class_names: tuple[str, ...]  # of the detector, by label
    category_ids: tuple[int, ...] | None = None  # of the COCO dataset it was trained on, by label
    image: NDArray[np.uint8] | None = None  # (H, W, 3) RGB
    source: str | None = None  # path, address or device that it is from; None for an array
    frame: int | None = None  # number of the frame in its video or stream, from 0
    time: float | None = None  # seconds from the start of the video or stream
    fps: float | None = None  # of the video
    is_live: bool = False  # of a camera, a stream or a screen, which has no end
    track_ids: Tensor | None = None  # (K,) int64, where objects are tracked; -1 for none
    seconds: StageSeconds = StageSeconds()

    @staticmethod
    def read(path: str | Path) -> list[Result]:
        """The results in a file or a run folder of `predict`, `val` or `train`; see `engine.read_results`."""
        from yolo.engine.read_results import read_results

        return read_results(path)

    @property
    def boxes(self) -> Tensor:
        """(K, 4) float32, x1 y1 x2 y2 in pixels of the image."""
        return self.detections.boxes

    @property
    def xyxy(self) -> Tensor:
        """The same as `boxes`."""
        return self.detections.boxes

    @property
    def xywh(self) -> Tensor:
        """(K, 4) float32, left, top, width and height in pixels, as in COCO's files."""
        return torch.cat([self.boxes[:, :2], self.boxes[:, 2:] - self.boxes[:, :2]], dim=1)

    @property
    def cxcywh(self) -> Tensor:
        """(K, 4) float32, centre, width and height in pixels."""
        return xyxy_to_cxcywh(self.boxes)

    @property
    def xyxy_norm(self) -> Tensor:
        """`xyxy` as shares of the image's width and height, 0..1."""
        return self._norm(self.boxes)

    @property
    def xywh_norm(self) -> Tensor:
        """`xywh` as shares of the image's width and height, 0..1."""
        return self._norm(self.xywh)

    @property
    def cxcywh_norm(self) -> Tensor:
        """`cxcywh` as shares of the image's width and height, 0..1, as in YOLO's label files."""
        return self._norm(self.cxcywh)

    def _norm(self, boxes: Tensor) -> Tensor:
        height, width = self.size_hw
        return boxes / boxes.new_tensor((width, height, width, height))

    @property
    def scores(self) -> Tensor:
        """(K,) float32."""
        return self.detections.scores

    @property
    def labels(self) -> Tensor:
        """(K,) int64, indices into `class_names`."""
        return self.detections.labels

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.class_names[label] for label in self.labels.tolist()]

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width of the image."""
        return self.detections.size_hw

    def counts(self) -> dict[str, int]:
        """How many there are of each class that there is, the most frequent first."""
        names = self.names
        return dict(sorted(((name, names.count(name)) for name in dict.fromkeys(names)), key=lambda item: -item[1]))

    def __repr__(self) -> str:
        """What was found where, in a line."""
        height, width = self.size_hw
        where = f"{self.source or 'image'}{'' if self.frame is None else f' frame {self.frame}'}"
        what = ", ".join(f"{count} {name}" for name, count in self.counts().items()) or "nothing"
        return f"<Result {where}, {width}x{height}: {what}>"

    def __len__(self) -> int:
        return len(self.detections)

    def __iter__(self) -> Iterator[Detection]:
        return map(self._detection, range(len(self)))

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> Detection: ...
    @overload
    def __getitem__(self, index: Any) -> Result: ...
    def __getitem__(self, index: Any) -> Detection | Result:
        """The detection at an integer; the result of those at a slice, mask or indices, in their order."""
        if _is_integer(index):
            place = operator.index(index)
            if not -len(self) <= place < len(self):
                raise IndexError(f"there are {len(self)} detections, none has the index {place}")
            return self._detection(place % len(self))
        chosen = self._places(index)
        track_ids = None if self.track_ids is None else self.track_ids[chosen]
        return replace(self, detections=self.detections[chosen], track_ids=track_ids)

    def _places(self, index: Any) -> Tensor:
        """Indices of what a slice, mask or list of indices selects."""
        if isinstance(index, slice):
            return torch.arange(len(self))[list(range(*index.indices(len(self))))]  # steps may be negative
        try:
            wanted = torch.as_tensor(index)
        except (TypeError, ValueError, RuntimeError) as error:
            raise IndexError(_INDICES.format(index)) from error
        if wanted.dtype == torch.bool:
            if wanted.shape != (len(self),):
                raise IndexError(f"a mask must have the shape ({len(self)},), got {tuple(wanted.shape)}")
            return wanted.nonzero().squeeze(1)
        if wanted.ndim != 1 or (wanted.is_floating_point() and len(wanted)):
            raise IndexError(
                f"detections are chosen by an integer, a slice, a mask or a list of indices, not {index!r}"
            )
        return wanted.to(torch.int64)

    def _detection(self, place: int) -> Detection:
        x1, y1, x2, y2 = self.boxes[place].tolist()
        label = int(self.labels[place])
        track_id = -1 if self.track_ids is None else int(self.track_ids[place])
        return Detection(
            (x1, y1, x2, y2),
            float(self.scores[place]),
            label,
            self.class_names[label],
            track_id=None if track_id < 0 else track_id,
        )

    def of_class(self, *classes: str | int) -> Result:
        """The detections of these classes, by name or label.

        Raises:
            ConfigError: an unknown class.
        """
        from yolo.engine.detection_settings import chosen_labels

        wanted = torch.tensor(chosen_labels(classes, self.class_names), dtype=torch.int64)
        return self[torch.isin(self.labels, wanted)]

    def to(self, device: torch.device | str) -> Result:
        """The same with its tensors on another device."""
        track_ids = None if self.track_ids is None else self.track_ids.to(device)
        return replace(self, detections=self.detections.to(device), track_ids=track_ids)

    def plot(
        self, *, line_width: int | None = None, labels: bool = True, image: ImageInput | None = None
    ) -> NDArray[np.uint8]:
        """The image with boxes, names and scores drawn, (H, W, 3) RGB.

        Args:
            line_width: in pixels; None for one that suits the image.
            labels: False draws the boxes only.
            image: to draw on, in place of the result's own: for results that were read back from JSON.

        Raises:
            ValueError: a result without an image, or an image of another size.
        """
        from yolo.media.drawing import draw_detections
        from yolo.media.labels import DrawStyle

        ids = None if self.track_ids is None else self.track_ids.tolist()
        style = DrawStyle(line_width=line_width, labels=labels)
        return draw_detections(self._pixels(image), self.detections, self.class_names, track_ids=ids, style=style)

    def show(self, *, image: ImageInput | None = None) -> None:
        """Show `plot()`: below the cell of a notebook, elsewhere in the system's image viewer.

        Raises:
            GridYoloError: the system has no viewer that is known.
        """
        from yolo.engine.result_exports import show_picture

        show_picture(self.plot(image=image))

    def save(self, path: str | Path, *, image: ImageInput | None = None) -> Path:
        """Write `plot()` into an image file, whose suffix says the format; returns its path.

        Folders on the way are made, as by all that writes here; a file of that name is replaced.

        Raises:
            SaveError: the file cannot be written, or its suffix is that of no image.
        """
        from yolo.engine.result_exports import save_picture

        return save_picture(self.plot(image=image), path)

    def crop(self, *, margin: float = 0.0, image: ImageInput | None = None) -> list[NDArray[np.uint8]]:
        """The part of the image in each box, (h, w, 3) RGB copies of at least one pixel, in the order of detections.

        Args:
            margin: how much wider and higher a part is than its box on each side, as a share of the box.
            image: as in `plot`.
        """
        from yolo.engine.result_exports import crops

        return crops(self._pixels(image), self.boxes, margin)

    def save_crops(self, folder: str | Path, *, margin: float = 0.0, image: ImageInput | None = None) -> list[Path]:
        """Write `crop()` as JPEG files `folder/CLASS/NAME-1.jpg` and so on, NAME as in the source; returns their paths.

        Files of these names are replaced.
        """
        from yolo.engine.result_exports import save_crops

        return save_crops(self, self.crop(margin=margin, image=image), folder)

    def _pixels(self, image: ImageInput | None) -> NDArray[np.uint8]:
        if image is None:
            if self.image is None:
                raise ValueError("this result does not hold its image: pass it, as in result.plot(image=path)")
            return self.image
        from yolo.engine.image_input import load_image

        pixels = load_image(image).image
        if pixels.shape[:2] != self.size_hw:
            raise ValueError(f"the image must have the size {self.size_hw} of the result's, got {pixels.shape[:2]}")
        return pixels

    def to_dict(self) -> dict[str, Any]:
        """All but the image, of JSON's own types; `from_dict` reads it back exactly.

        What torchmetrics takes is `to_torchmetrics()`.
        """
        from yolo.engine.result_exports import to_dict

        return to_dict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Result:
        """Inverse of `to_dict`.

        Raises:
            DataError: values that `to_dict` does not give.
        """
        from yolo.engine.result_exports import from_dict

        return from_dict(values)

    def to_json(self) -> str:
        """`to_dict()` as JSON in one line."""
        return json.dumps(self.to_dict(), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_json(cls, text: str | bytes) -> Result:
        """Inverse of `to_json`; DataError for any other text."""
        from yolo.engine.result_exports import from_json

        return from_json(text)

    def to_torchmetrics(self) -> dict[str, Tensor]:
        """`boxes`, `scores` and `labels`: what torchmetrics' mean average precision and torchvision exchange."""
        return self.detections.to_dict()

    def to_coco(self, image_id: int | str) -> list[dict[str, Any]]:
        """A record of COCO's results format for each detection.

        Args:
            image_id: id of the image in the COCO dataset.
        """
        from yolo.engine.result_exports import to_coco

        return to_coco(self, image_id)

    def to_dataframe(self) -> Any:
        """A pandas data frame with a row for each detection and the columns of detections.csv.

        It needs the extra `gridyolo[dataframe]`.

        Raises:
            GridYoloError: pandas is not installed.
        """
        from yolo.engine.result_exports import to_dataframe

        return to_dataframe(self)

    def to_supervision(self) -> Any:
        """`supervision.Detections`, with class names in `data["class_name"]`; needs `gridyolo[supervision]`.

        Raises:
            GridYoloError: supervision is not installed.
        """
        from yolo.engine.result_exports import to_supervision

        return to_supervision(self)


def _is_integer(index: Any) -> bool:
    """True for one integer, also of NumPy and torch; tensors of one element in a dimension are lists of indices."""
    if isinstance(index, Tensor | np.ndarray):
        return index.ndim == 0 and index.dtype not in (torch.bool, np.bool_)
    return isinstance(index, SupportsIndex) and not isinstance(index, bool | np.bool_)
