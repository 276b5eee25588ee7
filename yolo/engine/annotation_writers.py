"""Results as annotations for other programs: COCO, YOLO, Pascal VOC, Label Studio and CVAT."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from yolo.console import counted
from yolo.engine.result_writer import NamedResult
from yolo.errors import printable
from yolo.files import write_text
from yolo.formats import cvat, label_studio
from yolo.formats.coco_results import result_records
from yolo.formats.detections_json import numbered_frame
from yolo.formats.voc import annotation_text, voc_boxes
from yolo.formats.yolo import label_text
from yolo.growing_file import GrowingFile
from yolo.structures import GroundTruth

_ARRAY = {"head": "[\n", "separator": ",\n", "tail": "\n]\n"}
_LONGEST_NUMBER = 15  # digits; longer ones are not exact in every program that reads JSON


def _as_annotated(image: NamedResult) -> GroundTruth:
    found = image.result.detections
    return GroundTruth.from_boxes(found.boxes.numpy(), found.labels.numpy())


class CocoWriter:
    """coco/predictions.json, COCO's list of results, and coco/images.json, which images and categories they are of.

    The id of an image is the number in its name, 42 for 000042.jpg, as in COCO's own datasets. As soon as an image
    has no such number of its own, all have their names as ids, which `report` matches with ids or files of datasets.

    Args:
        folder: of the two files.
        class_names: what the labels mean.
        category_ids: id of each class in the COCO dataset that the detector learned; class index + 1 if absent.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], category_ids: Sequence[int] | None) -> None:
        self._folder, self._category_ids = folder, category_ids
        ids = category_ids or range(1, len(class_names) + 1)
        categories = [{"id": int(own), "name": printable(name)} for own, name in zip(ids, class_names, strict=True)]
        self._images_head = f'{{"categories": {_json(categories)}, "annotations": [], "images": [\n'
        self._numbers: dict[int, str] | None = {}  # the name of each image, by its number; None: names are the ids
        self._num_images, self._num_detections = 0, 0
        self._results, self._images = self._open()

    def _open(self) -> tuple[GrowingFile, GrowingFile]:
        results = GrowingFile(self._folder / "predictions.json", **_ARRAY)
        head = self._images_head
        return results, GrowingFile(self._folder / "images.json", head=head, separator=",\n", tail="\n]}\n")

    def add(self, image: NamedResult) -> None:
        """Append its detections, and the image."""
        image_id = self._id_of(image)
        height, width = image.result.size_hw
        own = {"id": image_id, "file_name": image.file_name, "width": width, "height": height}
        self._images.add(_json(own))
        records = list(result_records(image_id, image.result.detections, self._category_ids))
        if records:
            self._results.add(",\n".join(map(_json, records)))
        self._num_images += 1
        self._num_detections += len(records)

    def _id_of(self, image: NamedResult) -> int | str:
        name = image.name
        if self._numbers is None:
            return name
        digits = PurePosixPath(name).name
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= _LONGEST_NUMBER else None
        if number is not None and number not in self._numbers:
            self._numbers[number] = name
            return number
        self._rename()
        return name

    def _rename(self) -> None:
        """Write again what there is, with names as ids."""
        assert self._numbers is not None
        self.close()
        results = json.loads(self._results.path.read_text(encoding="utf-8"))
        images = json.loads(self._images.path.read_text(encoding="utf-8"))["images"]
        names, self._numbers = self._numbers, None
        self._results, self._images = self._open()
        for file, key, records in ((self._results, "image_id", results), (self._images, "id", images)):
            for record in records:
                file.add(_json(record | {key: names[record[key]]}))

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: an image that was not looked at is not in the files."""

    def close(self) -> None:
        """Close the files."""
        self._results.close()
        self._images.close()

    def summary(self) -> list[str]:
        """What the files hold."""
        return [f"{self._folder.name}/predictions.json, images.json: {self._num_detections:,} detections (COCO)"]


class YoloWriter:
    """labels/NAME.txt with lines `class cx cy w h score` in fractions of the image, and labels/classes.txt."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._num_files = folder, 0
        write_text(folder / "classes.txt", "".join(f"{printable(name)}\n" for name in class_names))

    def add(self, image: NamedResult) -> None:
        """Write the file of an image, an empty one where nothing was found."""
        result = image.result
        text = label_text(_as_annotated(image), result.size_hw, scores=result.scores.tolist())
        write_text(self._folder / f"{image.name}.txt", text)
        self._num_files += 1

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: an image that was not looked at has no file."""

    def close(self) -> None:
        """Nothing: every file is written."""

    def summary(self) -> list[str]:
        """How many files."""
        return [f"{self._folder.name}/: {counted(self._num_files, 'text file', 'text files')} with scores (YOLO)"]


class VocWriter:
    """Annotations/NAME.xml; boxes under a pixel become the pixel that they are in, which is all that VOC can say."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, [printable(name) for name in class_names]
        self._num_files, self._num_changed = 0, 0

    def add(self, image: NamedResult) -> None:
        """Write the file of an image."""
        truth, result = _as_annotated(image), image.result
        boxes, num_changed = voc_boxes(truth, result.size_hw)
        text = annotation_text(
            printable(PurePosixPath(image.file_name).name),
            result.size_hw,
            truth.with_boxes(boxes),
            class_names=self._class_names,
            scores=result.scores.tolist(),
        )
        write_text(self._folder / f"{image.name}.xml", text)
        self._num_files += 1
        self._num_changed += num_changed

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: an image that was not looked at has no file."""

    def close(self) -> None:
        """Nothing: every file is written."""

    def summary(self) -> list[str]:
        """How many files, and how many boxes VOC could not hold as they were."""
        changed = f"; {self._num_changed:,} boxes under a pixel, or as near to the border, changed"
        files = counted(self._num_files, "file", "files")
        return [f"{self._folder.name}/: {files} (Pascal VOC){changed if self._num_changed else ''}"]


class LabelStudioWriter:
    """labelstudio/tasks.json to import, and labelstudio/config.xml, the labelling interface.

    Args:
        folder: of the two files.
        class_names: what the labels mean.
        model: name of the detector, which Label Studio shows.
    """

    def __init__(self, folder: Path, class_names: Sequence[str], *, model: str) -> None:
        self._folder, self._class_names, self._model = folder, [printable(name) for name in class_names], model
        self._num_frames = 0
        write_text(folder / "config.xml", label_studio.labelling_config(self._class_names))
        self._tasks = GrowingFile(folder / "tasks.json", **_ARRAY)

    def add(self, image: NamedResult) -> None:
        """Append the task of an image; a frame is not a file that Label Studio could show."""
        result = image.result
        if result.frame is not None or result.source is None:
            self._num_frames += 1
            return
        names, model = self._class_names, self._model
        task = label_studio.task_of(printable(result.source), result.detections, names, model=model)
        self._tasks.add(_json(task))

    def add_unreadable(self, source: str, reason: str) -> None:
        """Do nothing: an image that cannot be read has no task."""

    def close(self) -> None:
        """Close the tasks."""
        self._tasks.close()

    def summary(self) -> list[str]:
        """How many tasks, and what cannot be one."""
        frames = f"; {self._num_frames:,} frames left out: save pictures of them" if self._num_frames else ""
        tasks = counted(self._tasks.num_entries, "task", "tasks")
        return [f"{self._folder.name}/tasks.json, config.xml: {tasks} (Label Studio){frames}"]


class CvatWriter:
    """cvat/annotations.xml, to upload as CVAT for images 1.1, and cvat/labels.json, the labels of its task."""

    def __init__(self, folder: Path, class_names: Sequence[str]) -> None:
        self._folder, self._class_names = folder, [printable(name) for name in class_names]
        write_text(folder / "labels.json", cvat.labels_json(class_names))
        self._file = GrowingFile(folder / "annotations.xml", head=cvat.head_of(class_names), tail=cvat.TAIL)

    def add(self, image: NamedResult) -> None:
        """Append the boxes of an image or frame."""
        frame = image.result.frame
        number = self._file.num_entries if frame is None else frame
        name = image.file_name if frame is None else numbered_frame("frame", frame)
        self._file.add(cvat.image_text(number, name, image.result.detections, self._class_names))

    def add_unreadable(self, source: str, reason: str) -> None:
        """Nothing: an image that was not looked at has no boxes."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def summary(self) -> list[str]:
        """How many images."""
        images = counted(self._file.num_entries, "image", "images")
        return [f"{self._folder.name}/annotations.xml, labels.json: {images} (CVAT for images 1.1)"]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
