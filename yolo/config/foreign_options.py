"""Options that users of other packages type: which of ours they are, or what to do in their place.

`OPTIONS` is the whole table: the names that Ultralytics, YOLOv5, darknet, MMDetection and torchvision use. Names that
mean just what an option here means are `ALIASES` of it (options.py). Update an answer when what it misses exists.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

from yolo.config.options import ALIASES, OTHERS_WEIGHTS
from yolo.errors import ConfigError, excerpt

_ANY = "*"  # in `Foreign.ignored`: whatever the value is
_OFF = ("false", "null", "0", "0.0", "none", "")


class UnsupportedError(ConfigError):
    """An option of another package that does not exist here."""


@dataclass(frozen=True, kw_only=True)
class Foreign:
    """What to do with an option of another package.

    Attributes:
        to: the option here that means the same, by dotted key; where several, the first that the command has.
        values: their values that are other ones here; all others are taken as they are, or none if `only` is set.
        only: take no value that is not in `values`.
        ignored: values for which nothing has to be done: gridyolo does so anyway, or they mean nothing here.
        answer: one line that says what to use instead, for everything else; it follows the option and its value.
        note: said where the option is used, if the meaning differs slightly.
        is_switch: it may stand without a value and is true then.
    """

    to: tuple[str, ...] = ()
    values: Mapping[str, str] = field(default_factory=dict)
    only: bool = False
    ignored: tuple[str, ...] = ()
    answer: str = ""
    note: str = ""
    is_switch: bool = False


def _same(*to: str, note: str = "", **values: str) -> Foreign:
    return Foreign(to=to, note=note, values=values)


def _switch(*to: str, note: str = "", answer: str = "", ignored: tuple[str, ...] = (), **values: str) -> Foreign:
    """A switch that is an option here; `values` says what true and false are."""
    return Foreign(to=to, values=values, only=bool(values), note=note, answer=answer, ignored=ignored, is_switch=True)


def _missing(answer: str, *ignored: str, is_switch: bool = False) -> Foreign:
    """What does not exist here. Values that switch it off are ignored."""
    return Foreign(answer=answer, ignored=(*_OFF, *ignored), is_switch=is_switch)


def _meaningless(is_switch: bool = False) -> Foreign:
    """What changes nothing in the detection of boxes, whatever its value: masks, key points, exports, ..."""
    return Foreign(ignored=(_ANY,), is_switch=is_switch)


_GAIN = "weighs another loss there; the weights here are --loss.lambda-coord (boxes) and --loss.lambda-class (classes)"
_VALIDATED = "the end of a training is always validated"
_PIPELINE = "has no step of its own here; an albumentations pipeline can be given with --augment FILE"
_NO_STOP = "does not exist yet: the length is that of --epochs or --max-minutes, and best.safetensors keeps the best"
_NO_EXPORT = "does not exist yet: detectors are not exported to ONNX or TensorRT"

OPTIONS: Mapping[str, Foreign] = {
    # --- what and how long
    "task": Foreign(
        to=("split",), values={"train": "train", "val": "val", "test": "test"}, only=True, ignored=("detect",),
        answer="is not done here: gridyolo detects boxes",
    ),
    "mode": _missing("is the command: gridyolo train, val or predict", "train", "val", "predict"),
    "pretrained": Foreign(to=("weights",), values={"false": "none"}, ignored=("true",), is_switch=True),
    "time": _missing("is a number of hours: --max-minutes is the time budget here"),
    "patience": _missing(_NO_STOP),
    "lr": _same("optimizer.lr"),
    "wd": _same("optimizer.weight_decay"),
    "lrf": _same("optimizer.final_lr"),
    "optimizer": Foreign(
        to=("optimizer.name",), values={"sgd": "sgd", "adamw": "adamw"}, only=True, ignored=("auto",),
        answer="does not exist here: --optimizer.name is adamw or sgd",
    ),
    "cos_lr": _switch(ignored=("true",), answer="there is no linear schedule here, see --optimizer.rate.policy"),
    "warmup_epochs": Foreign(
        to=("optimizer.warmup",), values={"0": "0", "0.0": "0"}, only=True,
        answer="counts epochs there; --optimizer.warmup is a share of the training, such as 0.03",
    ),
    "warmup_momentum": _missing("does not exist here: the warm-up changes the learning rate only"),
    "warmup_bias_lr": _missing("does not exist here: all layers warm up alike"),
    "nbs": _missing("does not exist here: a step takes --batch-size images, and --subdivisions saves memory"),
    "accumulate": _missing("is --batch-size with --subdivisions here: a step's images pass in that many parts", "1"),
    "amp": _switch("precision", false="32", ignored=("true",)),
    "deterministic": _meaningless(is_switch=True),
    "fraction": _missing("does not exist yet: name a list of images as train in the dataset YAML", "1.0", "1"),
    "single_cls": _missing("is done by the dataset YAML here: rename: {cat: object, dog: object}", is_switch=True),
    "rect": _missing("does not exist here: inputs are square, and images are letterboxed into them", is_switch=True),
    "multi_scale": _missing("does not exist yet: inputs have one size, and --augment.scale varies objects",
                            is_switch=True),
    "dropout": _missing("does not exist here; --optimizer.weight-decay is against overfitting"),
    "label_smoothing": _missing("does not exist here"),
    "image_weights": _missing("does not exist yet: every image is drawn once in an epoch", is_switch=True),
    "sync_bn": _missing("does not exist yet: a training uses one device", is_switch=True),
    "evolve": _missing("does not exist here: hyperparameters are not searched", is_switch=True),
    "compile": _missing("does not exist yet", is_switch=True),
    "profile": _missing("does not exist here: a training says at its end where the time went", is_switch=True),
    "save_period": _missing("does not exist here: last.ckpt and best.safetensors are kept", "-1"),
    "val": _switch("validations", false="1", ignored=("true",), note=_VALIDATED),
    "noval": _switch("validations", true="1", ignored=("false",), note=_VALIDATED),
    "exist_ok": _missing(
        "does not exist here: no run is overwritten; a number is added to --name, or remove the folder first",
        is_switch=True,
    ),
    "plots": _switch("report", false="false", ignored=("true",)),
    "noplots": _switch("report", true="false", ignored=("false",)),
    "save_dir": _missing("is set by --runs (the folder of all runs) and --name (its folder)"),
    "work_dir": _missing("is set by --runs (the folder of all runs) and --name (its folder)"),
    "output_dir": _missing("is set by --runs (the folder of all runs) and --name (its folder)"),
    "load_from": _same("weights"),
    "resume_from": _same("resume"),
    "clear": _switch("clear_seen"),
    "noautoanchor": _meaningless(is_switch=True),  # a grid detector has no anchors
    "anchor_t": _meaningless(),
    "gpu_ids": _same("device"),
    "gpus": _same("device"),
    "gpu": _same("device"),
    # --- augmentation and loss
    "hsv_h": _same("augment.hue"),
    "hsv_s": _same("augment.saturation"),
    "hsv_v": _same("augment.value"),
    "degrees": _same("augment.degrees"),
    "translate": _same("augment.translate"),
    "scale": _same("augment.scale", note="images shrink to 1 / (1 + scale) here, and to 1 - scale there"),
    "shear": _same("augment.shear"),
    "perspective": _missing("has another unit there; see --augment.perspective in --help-all"),
    "flipud": _same("augment.flip_vertical"),
    "fliplr": _same("augment.flip_horizontal"),
    "mosaic": _same("augment.mosaic"),
    "mixup": _same("augment.mixup"),
    "copy_paste": _same("augment.copy_paste", note="objects are cut out by their boxes, because there are no masks"),
    "close_mosaic": Foreign(
        to=("augment.close_mosaic",), values={"0": "0"}, only=True,
        answer="counts epochs there; --augment.close-mosaic is a share of the training, such as 0.1",
    ),
    "bgr": _missing(_PIPELINE),
    "cutmix": _missing(_PIPELINE),
    "erasing": _meaningless(),  # for classifiers only
    "auto_augment": _meaningless(),
    "copy_paste_mode": _meaningless(),
    "box": _missing(_GAIN),
    "cls": _missing(_GAIN),
    "dfl": _missing("weighs a loss that a grid detector does not have"),
    "obj": _missing("weighs another loss there; the weights here are --loss.lambda-obj and --loss.lambda-noobj"),
    "augment": _missing("is augmentation at test time, which does not exist yet", is_switch=True),
    # --- validation and prediction
    "half": _switch("precision", true="fp16", ignored=("false",)),
    "fp16": _switch("precision", true="fp16", ignored=("false",)),
    "int8": _missing("does not exist yet: --precision is 32, bf16 or fp16", is_switch=True),
    "dnn": _missing("does not exist here", is_switch=True),
    "agnostic_nms": _switch("class_agnostic"),
    "vid_stride": _same("every"),
    "stream": _meaningless(is_switch=True),  # always: memory is flat
    "stream_buffer": _missing("does not exist here: a stream always gives its newest frame", is_switch=True),
    "view_img": _switch("show"),
    "save_txt": _switch("save", true="+yolo", ignored=("false",)),
    "save_crop": _switch("save", true="+crops", ignored=("false",)),
    "save_csv": _switch("save", true="+csv", ignored=("false",)),
    "save_json": _switch("save", true="+coco", ignored=("true", "false")),  # val always writes predictions.json
    "save_conf": _meaningless(is_switch=True),  # always written
    "save_frames": _missing("does not exist yet: the frames with boxes are one video", is_switch=True),
    "save_hybrid": _missing("does not exist here", is_switch=True),
    "nosave": _switch("save_images", true="false", ignored=("false",), answer="does not exist here"),
    "show_labels": _switch("labels"),
    "hide_labels": _switch("labels", true="false", ignored=("false",)),
    "show_conf": _switch(ignored=("true",), answer="does not exist yet: --no-labels leaves out class and score"),
    "hide_conf": _missing("does not exist yet: --no-labels leaves out class and score", is_switch=True),
    "show_boxes": _switch(ignored=("true",), answer="does not exist here: --no-save-images draws no pictures"),
    "visualize": _missing("does not exist here: feature maps are not drawn", is_switch=True),
    "embed": _missing("does not exist here: feature vectors are not written"),
    "tracker": Foreign(to=("track",), values={"bytetrack.yaml": "true", "bytetrack": "true"}, only=True, ignored=_OFF,
                       answer="does not exist here: --track follows objects"),
    "persist": _meaningless(is_switch=True),
    "update": _meaningless(is_switch=True),
    "dont_show": _meaningless(is_switch=True),
    "ext_output": _meaningless(is_switch=True),
    # --- masks, key points, exports
    **dict.fromkeys(("overlap_mask", "retina_masks"), _meaningless(is_switch=True)),
    **dict.fromkeys(("mask_ratio", "pose", "kobj", "opset", "workspace", "nms", "simplify", "keras"), _meaningless()),
    "dynamic": _missing(_NO_EXPORT, is_switch=True),
    "optimize": _missing(_NO_EXPORT, is_switch=True),
    "format": _missing(_NO_EXPORT, "torchscript"),
    # --- habits of other packages
    "cfg_options": _missing("is written as options here: --optimizer.lr 0.001"),
    "auto_scale_lr": _missing("does not exist here: set --optimizer.lr", is_switch=True),
    "lr_scheduler": _missing("is --optimizer.rate.policy here: cosine, step, steps, ..."),
    "print_freq": _meaningless(),
    "test_only": _missing("is a command here: gridyolo val WEIGHTS DATA", is_switch=True),
    "trainable_backbone_layers": _missing("is --freeze here: the number of first stages that are not trained"),
    "local_rank": _missing("does not exist yet: a training uses one device", "-1"),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an option of another package comes to: an option here and its value, or nothing to do.

    Attributes:
        name: dotted key; "" where there is nothing to do.
        value: as text; "+yolo" adds to the formats of --save.
        note: a line for the user; "" for none.
    """

    name: str = ""
    value: Any = None
    note: str = ""


def is_foreign_switch(name: str) -> bool:
    """Whether an option of other packages may stand without a value."""
    return name in ("cache", "save", "verbose") or (name in OPTIONS and OPTIONS[name].is_switch)


def meaning_of(name: str, value: Any, options: Collection[str], *, written: str) -> Meaning | None:
    """What an option and its value mean in other packages; None if nobody else's, or if it is ours with that value.

    Args:
        name: as it was written, with underscores.
        value: text of the command line, or a value of a YAML file.
        options: dotted keys of the options that the command has.
        written: what the user calls it, for messages.

    Raises:
        UnsupportedError: it does not exist here; the message says what to use instead.
        ConfigError: its value cannot be used.
    """
    word = plain_text(value)
    special = _special(name, value, options, written)
    if special is not None:
        return special
    if name not in OPTIONS or name in options or ALIASES.get(name) in options:
        return None
    found = OPTIONS[name]
    to = next((option for option in found.to if option in options), "")
    if to and word in found.values:
        ours = found.values[word]
        return Meaning(to, ours, found.note)
    if to and not found.only and word != "null":
        return Meaning(to, value, found.note)
    if word in (*found.ignored, "null") or _ANY in found.ignored:
        return Meaning()
    answer = found.answer or f"is of no use here: it belongs to another command ({_commands(found)})"
    raise UnsupportedError(f"{written} {excerpt(word)} {answer}" if word != "true" else f"{written} {answer}")


def _commands(found: Foreign) -> str:
    return "train" if any(option.startswith(("augment.", "optimizer.")) for option in found.to) else "predict"


def plain_text(value: Any) -> str:
    """A value of a YAML file or a command line as somebody would type it, in lower case."""
    if value is None:
        return "null"
    try:
        return str(value).strip().lower()
    except ValueError:  # an integer of thousands of digits
        return "?"


def _special(name: str, value: Any, options: Collection[str], written: str) -> Meaning | None:
    """Names that are ours too, with values that others give them, and those whose meaning hangs on the value."""
    word = plain_text(value)
    if name in ("augment", "save", "verbose"):
        return _switched(name, word, options)
    if name == "model":
        return _model(value, options, written)
    option, special = _SPECIAL.get(name, ("", _weights))
    if option not in options or (name == "weights" and "backbone" not in options):
        return None
    return special(value, word, written)


def _switched(name: str, word: str, options: Collection[str]) -> Meaning | None:
    """`augment`, `save` and `verbose` as switches."""
    if word not in ("true", "false", "null"):
        return None
    if name == "augment":  # in training images are augmented anyway; elsewhere it is another thing
        return Meaning() if "augment.pipeline" in options else None
    if name == "save":
        if "save_images" not in options:
            return None if word == "false" else Meaning()
        return Meaning() if word == "null" else Meaning("save_images", word)
    if name in options:
        return None
    return Meaning(note="--quiet prints errors and warnings only" if word == "false" else "")


def _weights(value: Any, word: str, written: str) -> Meaning | None:
    return Meaning("weights", "none") if not word else None  # random ones, to YOLOv5


def _time(value: Any, word: str, written: str) -> Meaning | None:
    if not re.fullmatch(r"[\d.]{1,9}", word):
        return None
    return Meaning("max_minutes", f"{word}h", "time is in hours, --max-minutes in minutes")


def _cache(value: Any, word: str, written: str) -> Meaning | None:
    return Meaning("cache", "ram" if word == "true" else "none") if word in ("true", "false", "null") else None


def _classes(value: Any, word: str, written: str) -> Meaning | None:
    if not isinstance(value, list) and not word.startswith("["):
        return None
    return Meaning("classes", ",".join(part.strip(" '\"") for part in str(value).strip("[]()").split(",")))


def _input_size(value: Any, word: str, written: str) -> Meaning | None:
    sides = re.findall(r"\d+", word) if re.fullmatch(r"[\[(]?\d+ *, *\d+[\])]?", word) else []
    if len(set(sides)) > 1:
        raise ConfigError(f"{written} {word} has two sides; inputs are square here: give one number")
    return Meaning("input_size", sides[0]) if sides else None


def _model(value: Any, options: Collection[str], written: str) -> Meaning | None:
    """`model=` of Ultralytics: a detector of ours, a network of darknet, or a backbone."""
    if value is None:
        return Meaning()
    if not isinstance(value, str) or "weights" not in options:
        return None
    text, name = value, PurePath(value).name.lower()
    if name.endswith(OTHERS_WEIGHTS) or re.fullmatch(r"yolo.*\.ya?ml", name):
        more = "leave it out to start from ImageNet weights" if "backbone" in options else "name a run folder"
        raise UnsupportedError(
            f"{written} {excerpt(text)} is another package's network, which is not read here; {more}"
        )
    if "backbone" not in options:
        return Meaning("weights", text)
    if name.endswith(".cfg") or name in ("yolov1", "yolov1-tiny", "yolo", "yolo-small", "yolo-tiny"):
        return Meaning("cfg", text)
    is_backbone = re.fullmatch(r"(timm:)?[\w.]+", text) and not name.endswith((".safetensors", ".weights", ".pth"))
    return Meaning("backbone" if is_backbone else "weights", text)


def _device(value: Any, word: str, written: str) -> Meaning | None:
    if re.fullmatch(r"[\[(]?\d+( *, *\d+)+[\])]?", word):
        raise ConfigError(f"{written} {excerpt(word)} names several devices; only one is used: cuda:0, for example")
    if word in ("", "null", "-1"):
        return Meaning("device", "auto")
    if word.strip("[]").isdigit():
        return Meaning("device", f"cuda:{word.strip('[]')}")
    return Meaning("device", {"gpu": "cuda"}.get(word, word))


def _resume(value: Any, word: str, written: str) -> Meaning | None:
    if word in ("false", "null"):
        return Meaning()
    if word == "true":
        raise ConfigError(f"{written} needs the run folder to continue, such as --resume runs/train")
    path = PurePath(str(value))
    if path.name in ("last.ckpt", "last.pt") and path.parent.name == "weights":
        return Meaning("resume", str(path.parent.parent))
    return None


# Their name: the option here that must be there, and what makes one of the other.
_SPECIAL: Mapping[str, tuple[str, Callable[[Any, str, str], Meaning | None]]] = {
    "weights": ("weights", _weights),
    "time": ("max_minutes", _time),
    "cache": ("cache", _cache),
    "classes": ("classes", _classes),
    "resume": ("resume", _resume),
    **dict.fromkeys(("imgsz", "img", "img_size", "input_size"), ("input_size", _input_size)),
    **dict.fromkeys(("device", "gpu", "gpus", "gpu_ids"), ("device", _device)),
}
