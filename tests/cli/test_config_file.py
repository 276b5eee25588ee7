from pathlib import Path

import pytest

from yolo.cli.arguments import parse
from yolo.config import PredictConfig, TrainConfig, ValConfig
from yolo.errors import ConfigError

FLAT = """\
task: detect
mode: train
imgsz: 64
batch: 4
lr0: 1e-2
optimizer: SGD
fliplr: 0.1
cache: true
device: 0
amp: false
cfg: null
resume: false
epochs: 1e1
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(text: str | bytes, *words: str) -> TrainConfig:
    Path("o.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
    return parse("train", TrainConfig, ["data=d", "--config", "o.yaml", *words])


def test_a_flat_file_of_another_package(capsys: pytest.CaptureFixture[str]) -> None:
    config = train(FLAT)
    assert (config.input_size, config.batch_size, config.epochs, config.cache) == (64, 4, 10, "ram")
    assert (config.optimizer.name, config.optimizer.lr, config.augment.flip_horizontal) == ("sgd", 0.01, 0.1)
    assert (config.device, config.precision, config.cfg, config.resume) == ("cuda:0", "32", "", None)
    assert capsys.readouterr() == ("", "")


def test_what_does_not_exist_here_is_named_once_and_the_rest_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert train(f"{FLAT}model: yolov8n.pt\npatience: 100\nbox: 7.5\nnbs: 64\n").input_size == 64
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == (
        "warning: o.yaml: not used, because gridyolo has no such options: "
        "model 'yolov8n.pt', patience 100, box 7.5, nbs 64\n"
    )


def test_sections_dotted_keys_and_other_names_in_them() -> None:
    nested = train("augment: {fliplr: 0.2}\noptimizer:\n  lr0: 0.5\n  rate:\n    policy: CONSTANT\nmodel:\n")
    assert (nested.augment.flip_horizontal, nested.optimizer.lr, nested.optimizer.rate.policy) == (0.2, 0.5, "constant")
    dotted = train("optimizer.lr: 0.5\nmodel.grid-size: 10\nBatch-Size: 3\n")
    assert (dotted.optimizer.lr, dotted.model.grid_size, dotted.batch_size) == (0.5, 10, 3)
    assert train("augment: own.yaml\n").augment.pipeline == "own.yaml"
    assert train("fliplr: 0.1\n", "augment.flip_horizontal=0.9").augment.flip_horizontal == 0.9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 1\nepochs: 2\n", "o.yaml: line 2: 'epochs' is given twice"),
        ("optimizer: {lr: 1, lr: 2}\n", "o.yaml: line 1: 'lr' is given twice"),
        ("lr0: 1\noptimizer: {lr: 2}\n", "o.yaml: optimizer.lr and lr0 are the same option; keep one"),
        ("- a\n", "o.yaml: holds a list, not options"),
        ("hello\n", "o.yaml: holds text, not options"),
        ("7\n", "o.yaml: holds a single value, not options"),
        ("a: [\n", "o.yaml: line 2: is not YAML"),
        (b"\xff\xfe\x00", "o.yaml: is not UTF-8 text"),
        ("a: !!python/object:os.system x\n", "o.yaml: line 1: is not YAML"),
        ("[" * 5000, "o.yaml: is not YAML that can be read"),
        ("names: [cat]\ntrain: images\n", "o.yaml: is a dataset YAML, not a file of options; give it as --data"),
        ("epochs: many\n", "o.yaml: epochs must be a whole number, got 'many'"),
        ("epochs: {a: 1}\n", "o.yaml: epochs must be a whole number, got {'a': 1}"),
        ("name: yes\n", "o.yaml: name must be text, got True"),
        ("loss: 3\n", "o.yaml: loss is a section: its options stand below it, got 3"),
        ("model: 3\n", "o.yaml: model is a section: its options stand below it, got 3"),
        ("config: x\n", "o.yaml: unknown option config"),
        ("1: 2\n", "o.yaml: unknown option 1"),
        ("device: 0,1\n", "o.yaml: device 0,1 names several devices"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_one_line(text: str | bytes, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        train(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_files_that_are_not_there() -> None:
    Path("folder").mkdir()
    for name, message in {
        "nowhere.yaml": "there is no such file or recipe; recipes are",
        "folder": "is a folder",
        "": "is empty",
        "x" * 10_000: "there is no such file",
        "a\0b": "there is no such file",
    }.items():
        with pytest.raises(ConfigError, match=message):
            parse("train", TrainConfig, ["data=d", f"--config={name}"])


def test_options_given_as_a_dataset_are_sent_where_they_belong() -> None:
    Path("o.yaml").write_text("imgsz: 64\nbatch_size: 3\n")
    for config, words in ((TrainConfig, ["o.yaml"]), (ValConfig, ["w.safetensors", "o.yaml"])):
        with pytest.raises(ConfigError, match=r"o\.yaml: is a file of options, not a dataset; give it as --config"):
            parse("a", config, words)
    Path("d.yaml").write_text("train: images\nnames: [cat]\n")
    assert parse("train", TrainConfig, ["d.yaml"]).data == "d.yaml"


def test_an_empty_file_and_a_mark_of_order_at_its_start() -> None:
    assert train("").epochs is None
    assert train("\ufeffepochs: 3\n").epochs == 3


def test_words_replace_what_a_file_gives() -> None:
    Path("o.yaml").write_text("weights: w\nsource: [a, '[1].jpg']\nsave_txt: true\n")
    config = parse("predict", PredictConfig, ["--config", "o.yaml"])
    assert (config.weights, config.source, config.save) == ("w", ("a", "[1].jpg"), "json,yolo")
    Path("w.yaml").write_text("weights: w\n")
    assert parse("predict", PredictConfig, ["photo.jpg", "--config", "w.yaml"]).source == "photo.jpg"
    both = parse("predict", PredictConfig, ["v.weights", "photo.jpg", "--config", "o.yaml"])
    assert (both.weights, both.source) == ("v.weights", "photo.jpg")


def test_the_path_of_a_missing_file_stands_as_it_was_written() -> None:
    path = r"C:\recipes\of\a\project\that\is\far\away.yaml"
    with pytest.raises(ConfigError) as caught:
        parse("train", TrainConfig, ["data=d", "--config", path])
    assert f"--config {path}: there is no such file or recipe" in str(caught.value)
