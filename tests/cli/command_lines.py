"""Invented command lines: every command and option, with values that are right, nearly right, or hostile.

Left out: what reaches beyond the world's folder or this machine, and numbers that only make a run long.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import yaml
from hypothesis import strategies as st

from tests.cli import command_world as world
from yolo import config as configs
from yolo.config.options import ALIASES, option_types

COMMANDS: Mapping[str, type[Any]] = {
    "train": configs.TrainConfig,
    "val": configs.ValConfig,
    "predict": configs.PredictConfig,
    "report": configs.ReportConfig,
    "compare": configs.CompareConfig,
    "info": configs.InfoConfig,
    "demo": configs.DemoConfig,
    "data check": configs.DataCheckConfig,
    "data stats": configs.DataStatsConfig,
    "data preview": configs.DataPreviewConfig,
    "data convert": configs.DataConvertConfig,
    "data split": configs.DataSplitConfig,
    "data synth": configs.DataSynthConfig,
    "data download": configs.DataDownloadConfig,
    "darknet show": configs.DarknetShowConfig,
    "darknet import": configs.DarknetImportConfig,
    "darknet export": configs.DarknetExportConfig,
}
# What every run of the command has, unless it is drawn otherwise; it also keeps runs short.
_USUAL: Mapping[str, Mapping[str, Sequence[str]]] = {
    "train": {"data": world.DATASETS, "weights": ("none", *world.WEIGHTS), "max_batches": ("1",), "workers": ("0",),
              "input_size": ("32", "64"), "batch_size": ("2",), "backbone": ("auto", "shufflenet_v2_x0_5")},
    "val": {"weights": world.WEIGHTS, "data": world.DATASETS, "workers": ("0",), "report": ("false", "true")},
    "predict": {"weights": world.WEIGHTS, "source": world.SOURCES, "device": ("cpu",)},
    "report": {"ground_truth": world.TRUTHS, "detections": world.DETECTIONS, "bootstrap": ("0", "100")},
    "compare": {"a": world.DETECTIONS, "b": world.DETECTIONS, "bootstrap": ("100",)},
    "info": {"weights": world.WEIGHTS},
    "demo": {"images": ("20",), "epochs": ("1",)},
    "data check": {"data": world.DATASETS, "workers": ("0",)},
    "data stats": {"data": world.DATASETS},
    "data preview": {"data": world.DATASETS, "batches": ("1",), "batch_size": ("2",), "input_size": ("32", "64")},
    "data convert": {"data": world.DATASETS, "output": ("out",)},
    "data split": {"data": world.DATASETS, "output": ("out",)},
    "data synth": {"output": ("out",), "train": ("2",), "val": ("1",), "width": ("64",), "height": ("64",)},
    "data download": {"dataset": ("voc2007", "coco2017", "mine"), "manifest": ("in/numbers.yaml", "in/list.yaml")},
    "darknet show": {"cfg": ("in/small.cfg", "yolov1-tiny"), "weights": ("in/small.weights",)},
    "darknet import": {"weights": ("in/small.weights",), "output": ("out.safetensors",)},
    "darknet export": {"weights": ("in/dark.safetensors", "in/net.safetensors"), "output": ("out.weights",)},
}  # fmt: skip
_POOLS: Mapping[str, Sequence[str]] = {
    "data": world.DATASETS + world.BAD_DATASETS,
    "weights": world.WEIGHTS + world.BAD_WEIGHTS,
    "source": world.SOURCES + world.BAD_SOURCES,
    "ground_truth": world.TRUTHS + world.BAD_DETECTIONS,
    "detections": world.DETECTIONS + world.BAD_DETECTIONS,
    "a": world.DETECTIONS + world.BAD_DETECTIONS + world.RUNS,
    "b": world.DETECTIONS + world.BAD_DETECTIONS + world.RUNS,
    "resume": (*world.RUNS, "in/runs/train/weights/last.ckpt", "nowhere", "true"),
    "cfg": ("in/small.cfg", "yolov1-tiny", "in/notes.txt", "in/empty", "yolov8n.yaml"),
    "config": ("in/runs/train/config.yaml", "in/list.yaml", "in/text.yaml", "in/bytes.yaml", "in/notes.txt", "nowhere"),
    "names": ("in/list.txt", "in/notes.txt", "in/bytes.yaml", "in/empty", "nowhere"),
    "images": ("in/shapes/images/val", "in/pictures", "in/empty", "nowhere"),
    "runs": ("runs", "in/notes.txt", "in/notes.txt/sub", "/dev/null", "in", "new/folder", "~/runs", "../up"),
    "output": (
        "out",
        "in",
        "in/notes.txt",
        "in/notes.txt/sub",
        "/dev/null",
        "/dev/full",
        ".",
        "new/folder",
        "a.weights",
    ),
    "fix_into": ("out", "in", "in/notes.txt", "/dev/null", "."),
    "cache_dir": ("cache", "in/notes.txt", "/dev/null", "in"),
    "manifest": ("in/numbers.yaml", "in/notes.txt", "in/text.yaml", "nowhere"),
    "augment.pipeline": ("in/notes.txt", "in/numbers.yaml", "in/list.yaml", "nowhere.yaml"),
    "name": ("mine", "exp 1", "a/b", ".", "..", "x" * 300, "con", "-n"),
    "classes": ("red", "red,blue", "Red", "0", "rde", "red,,", "7", " blue "),
    "score_threshold": ("0.1", "auto", "in/runs/val/metrics.json", "in/notes.txt", "25%"),
    "split": ("val", "train", "test", "vla", "all"),
    "line": ("0,0,1,1", "0.5,0,0.5,1", "1,2,3", "a,b,c,d"),
    "zone": ("0,0,1,0,1,1", "0,0", "nan,0,1,1,0,1"),
    "every": ("2", "0.5s", "0", "1.5", "s"),
    "save": ("json", "csv,html", "coco,yolo,voc", "crops", "all", "json,,", "labelstudio,cvat"),
    "device": ("cpu", "auto", "0", "cuda", "cuda:9", "mps", "tpu", "0,1", "CPU"),
    "freeze": ("none", "backbone", "2", "99", "head.*", "stage2", "["),
    "backbone": ("shufflenet_v2_x0_5", "squeezenet1_0", "resnet999", "timm:nothing", "vit_b_16", "inception_v3", "os"),
    "pattern": ("(", "([a-z]+)", ".*", "(?P<a>x", "\\"),
    "model.deepest_stride": ("32", "16", "3", "512"),
}
# Options of other packages; some have an equal here.
FOREIGN = (
    "imgsz", "batch", "conf", "iou", "max_det", "project", "lr0", "lrf", "weight_decay", "momentum", "augment",
    "model", "optimizer", "cos_lr", "amp", "half", "fliplr", "flipud", "hsv_h", "save_txt", "save_conf", "patience",
    "exist_ok", "vid_stride", "stream_buffer", "close_mosaic", "warmup_epochs", "nbs", "task", "mode", "rect",
    "single_cls",
    "verbose", "plots", "view_img", "hide_labels", "agnostic_nms", "save_period", "degrees", "mosaic", "mixup",
    "dropout",
    "fraction", "profile", "time", "pretrained", "deterministic", "hyp", "img_size", "nc", "quiet", "json", "resplit",
)  # fmt: skip
_HOSTILE = (
    "", " ", "nan", "inf", "-inf", "-1", "0", "1e999", "-0.0", "9" * 30, "9" * 5000, "99999", "\x1b[31mred",
    "caf\udce9",
    "\N{BROKEN HEART}", "a" * 5000, "[", "]", "{", "{{}}", "[red]", "[/]", "!!python/object/apply:os.getcwd []",
    "&a *a", "*a",
    "- x", ": ", "a: b", "@x", "%s", "%", "`", "|", ">", "#", "../../x", "\\", "'", '"', "$HOME", "null", "~", "None",
    "true", "False", "[1, 2]", "{a: 1}", "2001-01-01", "0x10", "1_000", "١٢", "--", "-", "=", "a\nb", "\t", "$\\frac",
)  # fmt: skip
_NEARLY = ("{}%", "+{}", " {} ", "{}.0", "{},0", "'{}'", "[{}]", "{}px", "-{}", "{}s", "{}{}", "={}", "{}:", "{}e1")
_YAML_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 3, 0.5, float("nan"), float("inf"), 10**30, "", "a", "7", [], [1], ["a", None], {},
    {"a": 1}, {1: 2},
    [[]], "\x00", "1e-3",
)  # fmt: skip
_BROKEN_YAML = (
    b"", b"\xff\xfe\x00", b"a: [", b"- a\n- b\n", b"just text", b"a: b: c", b"\x00", b"&a [*a]",
    b"a: &x {b: *x}", b"? [a]\n: 1",
    b"epochs: 1\nepochs: 2\n", b"!!python/name:os.system ''", b"%YAML 9.9\n---\na: 1\n",
    b"\xef\xbb\xbfdata: in/shapes\n",
    b"data: in/shapes\r\nepochs: 1\r\n", b"---\na: 1\n---\nb: 2\n", b"[" * 3000, b"a: " + b"9" * 5000,
    b"1: 2\n", b"null: 1\n",
)  # fmt: skip
_DATASET_KEYS = (
    "path", "train", "val", "test", "names", "nc", "format", "rename", "classes", "category_ids", "extra", "images",
    "download", "kpt_shape", "only",
)  # fmt: skip
_DATASET_VALUES: tuple[Any, ...] = (
    "shapes", "in/shapes", ".", "images/train", "images/val", "in/shapes/images/val", ["images/train", "images/val"],
    ["red", "blue"], {0: "red", 1: "blue"}, {"0": "red", "1": "blue"}, {5: "red"}, 2, "2", "yolo", "voc", "in\\shapes",
    "images/*", "in/list.txt", "in/coco/annotations/instances_val.json", {"red": "blue"}, ["red", "red"], "[in]/x",
)  # fmt: skip
_ENVIRONMENTS: tuple[Mapping[str, str | None], ...] = (
    {"HOME": None},
    {"HOME": "/nowhere"},
    {"HOME": "in/notes.txt", "XDG_CACHE_HOME": "in/notes.txt"},
    {"COLUMNS": "20"},
    {"COLUMNS": "wide"},
    {"FORCE_COLOR": "1"},
    {"TERM": "dumb", "NO_COLOR": "1"},
    {"TMPDIR": "/nowhere", "XDG_CACHE_HOME": "/nowhere", "TORCH_HOME": "/nowhere"},
    {"CUDA_VISIBLE_DEVICES": "x"},
)
_ENCODINGS = ("utf-8", "utf-8", "utf-8", "cp1252", "ascii", "utf-16")


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """One run of the program.

    Attributes:
        words: after the program's name.
        files: made before, by their names.
        environment: variables that are set, or removed where None.
        encoding: of standard output and standard error.
        stdin: what can be read there.
        plots: curves are drawn, too, which takes long.
    """

    words: tuple[str, ...]
    files: Mapping[str, bytes] = field(default_factory=dict)
    environment: Mapping[str, str | None] = field(default_factory=dict)
    encoding: str = "utf-8"
    stdin: bytes = b""
    plots: bool = False

    def __str__(self) -> str:
        """As one types it in a shell, in the folder of the world."""
        lines = [f"printf '%b' {shlex.quote(_escaped(content))} > {name}" for name, content in self.files.items()]
        changes = [
            f"-u {name}" if value is None else f"{name}={shlex.quote(value)}"
            for name, value in self.environment.items()
        ]
        if self.encoding != "utf-8":
            changes.append(f"PYTHONIOENCODING={self.encoding}")
        before = f"env {' '.join(changes)} " if changes else ""
        lines.append(f"{before}gridyolo {' '.join(_quoted(word) for word in self.words)}".rstrip())
        return "\n".join(lines)


def command_lines(command: str | None = None) -> st.SearchStrategy[CommandLine]:
    """Any command line, or one of a command; most have one or a few things wrong with them."""
    return _command_line(command)


@st.composite
def _command_line(draw: st.DrawFn, command: str | None) -> CommandLine:
    command = command or draw(st.sampled_from(list(COMMANDS)))
    files: dict[str, bytes] = {}
    options = draw(_usual_options(command))
    options += draw(st.lists(_option(command), max_size=2))
    words = [word for name, value in options for word in draw(_spelled(name, value))]
    if draw(_seldom(8)):
        files["options.yaml"] = draw(_options_yaml(command))
        words += draw(_spelled("config", "options.yaml"))
    if draw(_seldom(10)):
        files["data.yaml"] = draw(_dataset_yaml())
        words += draw(_spelled("data", "data.yaml"))
    if draw(_seldom(8)):
        words = draw(_disturbed(words))
    if draw(_seldom(6)):
        words.append(draw(st.sampled_from(("--json", "--quiet"))))
    return CommandLine(
        words=(*draw(_command_words(command)), *words),
        files=files,
        environment=draw(st.sampled_from(_ENVIRONMENTS)) if draw(_seldom(8)) else {},
        encoding=draw(st.sampled_from(_ENCODINGS)),
        stdin=draw(st.sampled_from((b"", b"no image", b"\x89PNG\r\n\x1a\n"))),
        plots=draw(_seldom(12)),
    )


def _seldom(one_in: int) -> st.SearchStrategy[bool]:
    return st.integers(1, one_in).map(lambda number: number == one_in)  # shrinks towards False


@st.composite
def _command_words(draw: st.DrawFn, command: str) -> list[str]:
    words: list[str] = command.split()
    if not draw(_seldom(25)):
        return words
    wrong = ("", "help", "version", "--help", "-h", words[0].upper(), words[0][:-1], "tarin", "detect", "x" * 3000)
    return draw(
        st.one_of(
            st.sampled_from(wrong).map(lambda word: [word]),
            st.sampled_from((words[:1], [*words, "--help"], ["help", *words], [])),
        )
    )


@st.composite
def _usual_options(draw: st.DrawFn, command: str) -> list[tuple[str, str]]:
    """What the command needs; each with a small chance of being another value, or missing."""
    found = []
    for name, values in _USUAL[command].items():
        chance = draw(st.integers(0, 19))
        if chance == 19:
            continue
        pool = values if chance < 17 else _POOLS.get(name, _HOSTILE)
        found.append((name, draw(st.sampled_from(list(pool)))))
    return found


@st.composite
def _option(draw: st.DrawFn, command: str) -> tuple[str, str]:
    kinds = option_types(COMMANDS[command])
    name = draw(st.sampled_from([*kinds, *kinds, *ALIASES, *FOREIGN, "help", "config", "help_all", "print_config"]))
    kind = kinds.get(ALIASES.get(name, name), str)
    good = _values_of(ALIASES.get(name, name), kind)
    way = draw(st.integers(0, 9))
    if way < 5:
        return name, draw(st.sampled_from(good))
    if way < 7:
        value = draw(st.sampled_from(good))
        near = draw(st.sampled_from((*_NEARLY, "upper", "title")))
        return name, getattr(value, near)() if near.isalpha() else near.replace("{}", value)
    return name, draw(st.sampled_from(_HOSTILE) if way < 9 else st.text(_ARGUMENT, max_size=8))


_ARGUMENT = st.characters(exclude_characters="\x00/~", exclude_categories=["Cs"])


def _values_of(name: str, kind: Any) -> list[str]:
    """Values that the option takes, as words."""
    members = (kind,) if get_origin(kind) in (Literal, tuple, dict) else get_args(kind) or (kind,)
    found = list(_POOLS.get(name, ()))
    for member in members:
        if get_origin(member) is Literal:
            found += [str(choice) for choice in get_args(member)]
        elif member is bool:
            found += ["true", "false"]
        elif member is int:
            found += ["0", "1", "2", "32", "64", "100"]
        elif member is float:
            found += ["0", "0.1", "0.5", "1", "1e-3", "10"]
        elif member is NoneType:
            found += ["null"]
        elif get_origin(member) is tuple:
            found += ["[1, 2]", "[0.5]"]
        elif get_origin(member) is dict:
            found += ['{"head.*": 2}', "{}"]
    return found or ["x", "red", "a,b"]


@st.composite
def _spelled(draw: st.DrawFn, name: str, value: str) -> list[str]:
    """An option as people write it, and as they get it wrong."""
    dashed = name.replace("_", "-")
    ways = [[f"--{dashed}", value], [f"--{name}={value}"], [f"{name}={value}"], [f"--{dashed}={value}"]]
    if draw(_seldom(6)):
        ways = [
            [f"--{dashed}"],
            [f"--no-{dashed}"],
            [f"--no-{dashed}", value],
            [f"-{name}", value],
            [f"—{name}", value],  # a dash of a word processor
            [value],
            [f"--{name.upper()}", value],
            [f"{name}:", value],
            [f"--{name[:-1]}", value],
            [f"--{name[1:]}{name[:1]}={value}"],
            [name, "=", value],
            [f"--{name}.x={value}"],
            [f"--{name}", value, value],
            ["--", name, value],
            [f"{name}="],
        ]
    return draw(st.sampled_from(ways))


@st.composite
def _disturbed(draw: st.DrawFn, words: Sequence[str]) -> list[str]:
    """Words in another order, with some missing, doubled or added."""
    words = list(words)
    way = draw(st.sampled_from(("shuffle", "drop", "double", "add")))
    if way == "shuffle" or not words:
        return draw(st.permutations(words))
    place = draw(st.integers(0, len(words) - 1))
    if way == "drop":
        return words[:place] + words[place + 1 :]
    extra = words[place] if way == "double" else draw(st.sampled_from(_HOSTILE))
    return [*words[:place], extra, *words[place:]]


@st.composite
def _options_yaml(draw: st.DrawFn, command: str) -> bytes:
    if draw(_seldom(4)):
        return draw(st.sampled_from(_BROKEN_YAML))
    kinds = option_types(COMMANDS[command])
    content: dict[Any, Any] = {}
    for name in draw(st.lists(st.sampled_from([*kinds, *ALIASES, *FOREIGN]), min_size=1, max_size=4)):
        words = st.sampled_from(_values_of(name, kinds.get(name, str))).map(yaml.safe_load)
        value = draw(st.one_of(words, words, st.sampled_from(_YAML_VALUES), st.sampled_from(_HOSTILE)))
        section, _, leaf = name.partition(".")
        if leaf and draw(st.booleans()):
            inner = content.setdefault(section, {})
            (inner if isinstance(inner, dict) else content)[leaf] = value
        else:
            content[name.replace("_", "-") if draw(_seldom(6)) else name] = value
    return yaml.safe_dump(content, allow_unicode=True).encode("utf-8", "surrogatepass")


@st.composite
def _dataset_yaml(draw: st.DrawFn) -> bytes:
    if draw(_seldom(5)):
        return draw(st.sampled_from(_BROKEN_YAML))
    content: dict[str, Any] = {
        "path": "in/shapes",
        "train": "images/train",
        "val": "images/val",
        "names": ["red", "blue"],
    }
    for key in draw(st.lists(st.sampled_from(_DATASET_KEYS), min_size=1, max_size=3)):
        content[key] = draw(st.one_of(st.sampled_from(_DATASET_VALUES), st.sampled_from(_YAML_VALUES)))
    return yaml.safe_dump(content).encode()


def _quoted(word: str) -> str:
    text = word if len(word) <= 200 else f"{word[:20]}...({len(word)} characters)"
    return shlex.quote(text) if text.isprintable() else f"$'{_escaped(text.encode('utf-8', 'surrogateescape'))}'"


def _escaped(content: bytes) -> str:
    text = content[:2000].decode("latin-1").encode("unicode_escape").decode("ascii")
    return text.replace("'", "\\x27")
