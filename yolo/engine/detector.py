"""`Detector`: the Python interface to a trained detector; and `open_detector`, which all commands open one with."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, TypedDict, Unpack, overload

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from yolo.config import PredictConfig, ValConfig
from yolo.config.from_python import make_config
from yolo.config.predict import ColorOrder, DetectConfig, OpenConfig
from yolo.config.python_words import python_words
from yolo.console import counted, listed
from yolo.darknet.lookup import WEIGHTS_SUFFIX
from yolo.engine.darknet import open_darknet
from yolo.engine.detection_settings import choose_settings
from yolo.engine.detector_file import DetectorMetadata, load_detector
from yolo.engine.environment import choose_device, choose_dtype
from yolo.engine.image_input import ImageInput, is_batch, load_image, load_images, open_items
from yolo.engine.result import Result, StageSeconds
from yolo.engine.tiled import detect_tiled, tiling_of
from yolo.errors import ConfigError, DataError, WeightsError, printable
from yolo.geometry import place_image, plan_resize
from yolo.images import DepthTally
from yolo.media.items import Frame, Item
from yolo.models.fusion import fuse
from yolo.models.network import Network
from yolo.postprocess.pipeline import PostprocessSettings, postprocess
from yolo.run_weights import find_weights
from yolo.structures import Detections

# On the CPUs that we have seen, the answers to so many images are bit for bit those to one image, on one thread.
_CPU_BATCH, _GPU_BATCH = 8, 16
# One image of 640 x 640 has as much work in a layer as several smaller ones.
_CPU_BATCH_PIXELS = 8 * 320 * 320


def images_per_pass(device: torch.device, input_hw: tuple[int, int]) -> int:
    """How many images should go through a network together."""
    if device.type != "cpu":
        return _GPU_BATCH
    height, width = input_hw
    return max(1, min(_CPU_BATCH, _CPU_BATCH_PIXELS // (height * width)))


def open_detector(
    weights: Path, *, cfg: str = "", names: str = "", mapped: bool = False
) -> tuple[Network, DetectorMetadata]:
    """A detector from what `find_weights` finds, or from darknet's files; see `load_detector` and `open_darknet`."""
    weights = find_weights(weights)
    if cfg or weights.suffix == WEIGHTS_SUFFIX:
        return open_darknet(weights, cfg=cfg, names=names, mapped=mapped)
    if names:
        raise ConfigError(f"--names is for darknet's weights; {weights} has its own class names")
    return load_detector(weights)


class DetectOptions(TypedDict, total=False):
    """The options of a call of a detector and of `Detector.predict`; what is not given is as the weights file says."""

    color: ColorOrder
    """Order of the channels of arrays and tensors: rgb, or bgr as OpenCV reads them."""
    score_threshold: float | str | None
    """Keep what scores more than this, 0..1; usually 0.25, the weights file decides. "auto": for each class the
    threshold with the best F1 in validation. A path of a metrics.json takes the thresholds of that validation."""
    iou_threshold: float | None
    """Suppress what overlaps a better one of its class by more than this IoU, 0..1; usually 0.5."""
    max_detections: int | None
    """Keep at most this many of an image; usually 300."""
    classes: Sequence[str | int] | str | int | None
    """Names or labels of the classes that are wanted; None for all."""
    class_agnostic: bool
    """Suppress what overlaps a better one of any class."""
    tile: int | None
    """Cut larger images into square tiles of this many pixels, and detect on each of them and on the whole image."""
    overlap: float | None
    """Share of a tile that its neighbour shows too; usually 0.2."""


class Detector:
    """A trained detector, ready to be called on images, in several threads at once if you like.

    Pickled, it is its arguments: the other process opens the same file again.

    Args:
        weights: a `*.safetensors` file written by `gridyolo train`, a run folder, the name of a run below `runs/`, or a
            darknet `*.weights` file.
        device: auto, cpu, cuda, cuda:1 or mps; also a number of a GPU, or a torch.device.
        input_size: side of the input in pixels, a multiple of the network's stride; default: as in training.
        cfg: of a darknet file: its cfg or the name of a shipped network; default: by the file's name.
        names: of a darknet file: text file with a class name in each line; default: the one beside it, VOC's for 20.
        precision: 32, bf16 or fp16 (the latter on CUDA).
        bit_depth: bits that the samples of 16-bit images and of uint16 arrays use, 8 to 16; default: as in training.

    Raises:
        WeightsError: the file is missing, damaged or no detector.
        ConfigError: an impossible device, input size, precision or cfg, or a value of the wrong type.

    Example:
        detector = Detector("runs/train")
        for found in detector("photo.jpg", score_threshold=0.3):
            print(found.name, found.score, found.box)
    """

    def __init__(
        self,
        weights: str | Path,
        *,
        device: str | int | torch.device = "auto",
        input_size: int | None = None,
        cfg: str = "",
        names: str = "",
        precision: str = "32",
        bit_depth: int | None = None,
    ) -> None:
        given = {"weights": weights, "device": device, "input_size": input_size, "cfg": cfg, "names": names}
        with python_words():
            self._open(make_config(OpenConfig, given | {"precision": precision, "bit_depth": bit_depth}))

    def _open(self, config: OpenConfig | PredictConfig | ValConfig) -> None:
        """What remains of `__init__` when the options are known; errors are in words of the command line."""
        self.path = find_weights(config.weights).absolute()
        network, self.metadata = open_detector(self.path, cfg=config.cfg, names=config.names, mapped=True)
        self.device = choose_device(config.device)
        size = config.input_size
        self.input_hw = self.metadata.input_hw if size is None else (size, size)
        self._grid = self.metadata.network.grid(self.input_hw)
        dtype = choose_dtype(config.precision, self.device)
        self._network = fuse(network, device=self.device, dtype=dtype, release=True)
        self.bit_depth = self.metadata.bit_depth if config.bit_depth is None else config.bit_depth
        kept = ("device", "input_size", "cfg", "names", "precision", "bit_depth")
        self._options = {name: getattr(config, name) for name in kept}
        self._version = _version_of(self.path)

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each label."""
        return self.metadata.class_names

    def __repr__(self) -> str:
        """The file, the network and the classes, in a line."""
        height, width = self.input_hw
        classes = counted(len(self.class_names), "class", "classes")
        return (
            f"<Detector {printable(self.path)}: {self.metadata.network.name} at {width}x{height}, {classes} "
            f"({listed(self.class_names)}), {self.device}, precision {self._options['precision']}>"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """What pickle keeps: the path and the options, not the weights."""
        return _reopen, (self.path, self._options, self._version)

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], **options: Unpack[DetectOptions]) -> list[Result]: ...
    @overload
    def __call__(self, image: Tensor, **options: Unpack[DetectOptions]) -> Any: ...  # by its rank
    @overload
    def __call__(self, image: ImageInput, **options: Unpack[DetectOptions]) -> Result: ...
    def __call__(self, image: Any, **options: Unpack[DetectOptions]) -> Result | list[Result]:
        """Detect on one image, or on each of a list.

        Args:
            image: a path, text that begins with http:// or https://, bytes of an image file, a Pillow image, an array
                (H, W) or (H, W, C), or a tensor (H, W) or (C, H, W); what they may hold is said at `load_image`. Or
                several: a list or tuple of those, or a tensor (N, C, H, W).
            options: see `DetectOptions`.

        Returns:
            What was found, in pixels of `image`, by falling score, on the CPU; a list of such for several images.

        Raises:
            ImageReadError: a file that cannot be read.
            ValueError: an array or tensor that is not an image.
            TypeError: something that is not an image at all.
            ConfigError: an unknown option, value or class, or "auto" of weights that gridyolo has not validated.
        """
        settings, color = self._settings_of(options)
        if is_batch(image):
            frames = list(load_images(image, color=color, bit_depth=self.bit_depth))
            self._warn_of_depths(frames)
            size = images_per_pass(self.device, self.input_hw)
            return [one for part in _parts(frames, size) for one in self.detect_frames(part, settings)]
        frame = load_image(image, color=color, bit_depth=self.bit_depth)
        self._warn_of_depths([frame])
        return self.detect_frames([frame], settings)[0]

    def _warn_of_depths(self, frames: Iterable[Frame]) -> None:
        tally = DepthTally(self.bit_depth)
        for frame in frames:
            tally.add(frame.largest)
        for note in tally.notes():
            warnings.warn(note, stacklevel=3)

    def predict(
        self,
        source: str | Path | Iterable[ImageInput],
        *,
        on_unreadable: Callable[[str, str], object] | None = None,
        **options: Unpack[DetectOptions],
    ) -> Iterator[Result]:
        """Detect on everything that a source gives, one result at a time, however many there are.

        Args:
            source: what `gridyolo predict --source` takes: an image, a folder, a glob, a video and so on. Or an
                iterable of such, and of images as a detector is called with, which may be endless. It is read a few
                dozen images ahead of the results.
            on_unreadable: called with the name and the reason where an image cannot be read; the rest goes on. By
                default a warning is given.
            options: see `DetectOptions`.

        Yields:
            A result for each image or frame, in order, which holds its image.

        Raises:
            DataError: at once for a source that does not exist, and in the end if nothing could be read.
            ConfigError: an unknown option, value or class, or "auto" of weights that gridyolo has not validated.
        """
        settings, color = self._settings_of(options)
        items = open_items(source, color=color, bit_depth=self.bit_depth)
        return self._results(items, settings, on_unreadable or _warn)

    def warmup(self, *, batch_size: int = 1) -> None:
        """Run the network on blank images, so that the first of the user's is not slower than the others."""
        blank = np.zeros((*self.input_hw, 3), np.uint8)
        self.detect_batch([blank] * batch_size, self.metadata.predict)

    def _settings_of(self, options: DetectOptions) -> tuple[PostprocessSettings, ColorOrder]:
        """What is to be kept, and the order of channels, of checked options."""
        others = {name: value for name, value in options.items() if name != "classes"}
        config = make_config(DetectConfig, others)
        with python_words():
            chosen = choose_settings(
                self.metadata,
                score_threshold=config.score_threshold,
                iou_threshold=config.iou_threshold,
                max_detections=config.max_detections,
                classes=options.get("classes"),
                class_agnostic=config.class_agnostic,
                tiling=tiling_of(config.tile, config.overlap),
            )
        return chosen.settings, config.color

    def _results(
        self, items: Generator[Item], settings: PostprocessSettings, on_unreadable: Callable[[str, str], object]
    ) -> Iterator[Result]:
        # which a call on one image does not need
        from yolo.engine.detect_items import default_workers, detect_items
        from yolo.engine.workers import Workers

        num_results, reason = 0, "it is empty"
        with closing(items), Workers(default_workers(self.device)) as workers:
            depths = DepthTally(self.bit_depth)
            for outcome in detect_items(self, items, settings, workers=workers, depths=depths):
                if isinstance(outcome, Result):
                    num_results += 1
                    yield outcome
                else:
                    reason = outcome.reason
                    on_unreadable(outcome.source, reason)
        for note in depths.notes():
            warnings.warn(note, stacklevel=2)
        if not num_results:
            raise DataError(f"the source gave no image that could be read: {reason}")

    def detect_frames(self, frames: Sequence[Frame], settings: PostprocessSettings) -> list[Result]:
        """Detect on several images, of any sizes, in one pass of the network; safe in several threads at once.

        Where the settings say so, each image is cut into tiles, which take passes of their own.
        """
        images = [frame.image for frame in frames]
        if settings.tiling is None:
            detections, seconds = self.detect_batch(images, settings)
            found = [(one, seconds) for one in detections]
        else:
            found = [detect_tiled(self.detect_batch, image, settings, settings.tiling) for image in images]
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
                is_live=frame.is_live,
                seconds=seconds,
            )
            for frame, (detections, seconds) in zip(frames, found, strict=True)
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


def detector_of(config: PredictConfig | ValConfig) -> Detector:
    """The detector that a command's options name."""
    detector = Detector.__new__(Detector)  # `__init__` is for Python: its errors name keywords, not options
    detector._open(config)
    return detector


def _parts(frames: Sequence[Frame], size: int) -> Iterator[Sequence[Frame]]:
    return (frames[start : start + size] for start in range(0, len(frames), size))


def _warn(source: str, reason: str) -> None:
    warnings.warn(reason, stacklevel=2)


def _version_of(path: Path) -> tuple[int, int] | None:
    """What changes when a file does: its size and its time; None if it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


def _reopen(path: Path, options: dict[str, Any], version: tuple[int, int]) -> Detector:
    """The detector that was pickled."""
    detector = Detector(path, **options)
    if _version_of(path) != version:
        raise WeightsError(f"{path}: has changed since the detector was pickled; open the new one with Detector(...)")
    return detector
