"""`open_detector`, `Detector`: the Python interface to a trained detector."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from yolo.darknet.lookup import WEIGHTS_SUFFIX
from yolo.engine.darknet import open_darknet
from yolo.engine.detection_settings import choose_settings
from yolo.engine.detector_file import DetectorMetadata, load_detector
from yolo.engine.environment import choose_device, choose_dtype
from yolo.engine.result import Result, StageSeconds
from yolo.errors import ConfigError
from yolo.files import expand_home
from yolo.geometry import place_image, plan_resize
from yolo.images import read_image
from yolo.media.items import Frame
from yolo.models.fusion import fuse
from yolo.models.network import Network
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.structures import Detections


def open_detector(
    weights: Path, *, cfg: str = "", names: str = "", mapped: bool = False
) -> tuple[Network, DetectorMetadata]:
    """A detector from a `*.safetensors` file or from darknet's files; see `load_detector` and `open_darknet`."""
    weights = expand_home(weights)
    if cfg or weights.suffix == WEIGHTS_SUFFIX:
        return open_darknet(weights, cfg=cfg, names=names, mapped=mapped)
    if names:
        raise ConfigError(f"--names is for darknet's weights; {weights} has its own class names")
    return load_detector(weights)


class Detector:
    """A trained detector, ready to be called on images.

    Args:
        weights: a `*.safetensors` file written by `gridyolo train`, or a darknet `*.weights` file.
        device: auto, cpu, cuda, cuda:1 or mps.
        input_size: side of the input in pixels, a multiple of the network's stride; default: as in training.
        cfg: of a darknet file: its cfg or the name of a shipped network; default: by the file's name.
        names: of a darknet file: text file with a class name in each line; default: the one beside it, VOC's for 20.
        precision: 32, bf16 or fp16 (the latter on CUDA).

    Raises:
        WeightsError: the file is missing, damaged or no detector.
        ConfigError: an impossible device, input size, precision or cfg.

    Example:
        detector = Detector("runs/train/weights/best.safetensors")
        detections = detector("photo.jpg", score_threshold=0.3)
        for box, score, label in zip(detections.boxes, detections.scores, detections.labels):
            print(detector.class_names[label], float(score), box.tolist())
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str = "auto",
        input_size: int | None = None,
        cfg: str = "",
        names: str = "",
        precision: str = "32",
    ) -> None:
        network, self.metadata = open_detector(Path(weights), cfg=cfg, names=names, mapped=True)
        self.device = choose_device(device)
        self.input_hw = self.metadata.input_hw if input_size is None else (input_size, input_size)
        self._grid = self.metadata.network.grid(self.input_hw)
        dtype = choose_dtype(precision, self.device)
        self._network = fuse(network, device=self.device, dtype=dtype, release=True)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.metadata.class_names

    def __call__(
        self,
        image: str | Path | NDArray[np.uint8],
        *,
        score_threshold: float | str | None = None,
        iou_threshold: float | None = None,
        max_detections: int | None = None,
    ) -> Result:
        """Detect on one image.

        Args:
            image: a file, or (H, W, 3) uint8 RGB (OpenCV's own images are BGR: pass `image[:, :, ::-1]`).
            score_threshold: keep what scores more than this, 0..1; default: what the file says, mostly 0.25. "auto"
                keeps of each class what scores at least as much as had the best F1 in validation, and a path of a
                metrics.json what had it there.
            iou_threshold: suppress what overlaps a better one of its class by more than this, 0..1; default: what
                the file says, mostly 0.5.
            max_detections: keep at most this many; default: what the file says, mostly 300.

        Returns:
            What was found, in pixels of `image`, by falling score, on the CPU.

        Raises:
            ImageReadError: a file that cannot be read.
            ValueError: an array that is not an (H, W, 3) uint8 image.
            ConfigError: "auto" of weights that gridyolo has not validated.
        """
        if isinstance(image, str | Path):
            frame = Frame(read_image(expand_home(image)), str(image))
        else:
            frame = Frame(image, source="")
        settings, _ = choose_settings(
            self.metadata,
            score_threshold=score_threshold,
            iou_threshold=iou_threshold,
            max_detections=max_detections,
        )
        return self.detect_frames([frame], settings)[0]

    def detect_frames(self, frames: Sequence[Frame], settings: PostprocessSettings) -> list[Result]:
        """Detect on several images, of any sizes, in one pass of the network; safe in several threads at once."""
        found, seconds = self.detect_batch([frame.image for frame in frames], settings)
        return [
            Result(
                detections,
                class_names=self.class_names,
                category_ids=self.metadata.category_ids,
                image=frame.image,
                source=frame.source or None,  # of arrays
                frame=frame.index,
                time=frame.time,
                fps=frame.fps,
                seconds=seconds,
            )
            for frame, detections in zip(frames, found, strict=True)
        ]

    def detect_batch(
        self, images: Sequence[NDArray[np.uint8]], settings: PostprocessSettings
    ) -> tuple[list[Detections], StageSeconds]:
        """Detect on several (H, W, 3) uint8 RGB images in one pass of the network; and what each took."""
        began = time.perf_counter()
        for image in images:
            if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
                raise ValueError(f"an image must be (H, W, 3) uint8 RGB, got {image.shape} {image.dtype}")
        geometries = [
            plan_resize((image.shape[0], image.shape[1]), self.input_hw, self.metadata.resize) for image in images
        ]
        placed = np.stack(
            [place_image(image, plan, self.metadata.resize) for image, plan in zip(images, geometries, strict=True)]
        )
        batch = torch.from_numpy(placed).permute(0, 3, 1, 2).to(self.device)
        placed_at = time.perf_counter()
        with torch.inference_mode():
            answer = self._network(batch).float().cpu()  # the copy also waits for the device
        raw = answer.clone()  # an ordinary tensor: users may change what they get
        answered_at = time.perf_counter()
        found = postprocess(self._grid, raw, geometries, settings)
        stages = (placed_at - began, answered_at - placed_at, time.perf_counter() - answered_at)
        return found, StageSeconds(*(seconds / len(images) for seconds in stages))
