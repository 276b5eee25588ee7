import re
from pathlib import Path
from typing import Any

import pytest
import yaml

import yolo.config
from yolo.cli.arguments import given_options, parse
from yolo.config import PredictConfig, TrainConfig, ValConfig
from yolo.config.help_texts import option_helps
from yolo.console import collected_warnings
from yolo.errors import ConfigError


def test_every_spelling_means_the_same() -> None:
    expected = parse("train", TrainConfig, ["--data", "d", "--max_minutes", "5", "--batch_size=8"])
    assert parse("train", TrainConfig, ["data=d", "max-minutes=5", "batch=8"]) == expected
    assert parse("train", TrainConfig, ["--data=d", "--max-minutes", "5", "--batch-size", "8"]) == expected
    assert expected.max_minutes == 5
    assert expected.batch_size == 8


def test_values_are_left_alone() -> None:
    config = parse("predict", PredictConfig, ["--name", "a=b", "weights=w", "--source", "x-y=z.jpg", "cfg=my=odd-name"])
    assert (config.name, config.source, config.cfg) == ("a=b", "x-y=z.jpg", "my=odd-name")


def test_what_is_true_or_false_may_stand_without_a_value() -> None:
    words = ["--wandb", "data=d", "--clear-seen", "true", "--mlflow", "--loss.rescore", "False", "--optimizer.nesterov"]
    config = parse("train", TrainConfig, words)
    assert (config.data, config.wandb, config.clear_seen, config.mlflow, config.tensorboard) == (
        "d", True, True, True, False,
    )  # fmt: skip
    assert (config.loss.rescore, config.optimizer.nesterov) == (False, True)
    with pytest.raises(ConfigError, match="--name needs a value"):
        parse("train", TrainConfig, ["data=d", "--name", "--wandb"])


def test_dotted_keys_reach_the_groups() -> None:
    config = parse("train", TrainConfig, ["data=d", "--optimizer.name", "sgd", "loss.ignore_iou=null", "lr0=0.1"])
    assert config.optimizer.name == "sgd"
    assert config.optimizer.lr == 0.1
    assert config.loss.ignore_iou is None


def test_a_file_gives_values_and_later_options_win(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("data: from_file\nepochs: 7\nmodel:\n  width: 32\n")
    # the command line wins, wherever it names the file
    before = parse("train", TrainConfig, ["--epochs", "9", "--config", str(file)])
    config = parse("train", TrainConfig, ["--config", str(file), "--epochs", "9"])
    assert before == config
    assert (config.data, config.epochs, config.model.width) == ("from_file", 9, 32)


def test_an_unknown_key_in_a_file_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("data: d\nepochz: 7\n")
    with pytest.raises(ConfigError, match="unknown option epochz; did you mean --epochs"):
        parse("train", TrainConfig, ["--config", str(file)])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--daat", "x"], "unknown option --daat; did you mean --data"),
        (["--bacth", "8"], r"unknown option --bacth; did you mean --batch\?"),
        (["data=d", "--gadget", "1"], r"unknown option --gadget \(see"),
        (["data=d", "--epoch-count", "1"], r"unknown option --epoch-count; did you mean --epochs\?"),
        (["data=d", "--half-life", "1"], r"unknown option --half-life \(see"),  # not --help
        (["data=d", "--ignore-iou", "1"], "did you mean --loss.ignore-iou"),
        (["data=d", "--batch-size", "many"], "--batch-size must be a whole number, got 'many'"),
        (["data=d", "--batch-size", "0"], "--batch-size must be at least 1"),
        (["data=d", "--precision", "8"], "precision"),
        (["data=d", "--input-size", "31"], "--input-size must be at least 32"),
        (["data=d", "--input-size", "330"], "do not fit"),
        (["data=d", "--model.grid-size", "13"], "Possible grid sizes: 5, 10, 20, 40, 80"),
        (["data=d", "--augment.mosaic", "2"], r"augment.mosaic must be in \[0, 1\]"),
        (["data=d", "--model.coding", "linear"], "has no logits"),
        (["data=d", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["data=d", "stray"], "'stray' does not belong to an option"),
        (["d", "stray"], "'stray' does not belong to an option"),
        ([], "--data is required"),
    ],
)
def test_bad_options_say_what_is_wrong(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse("train", TrainConfig, words)


def test_predict_needs_weights_and_source() -> None:
    with pytest.raises(ConfigError, match="--weights is required"):
        parse("predict", PredictConfig, ["source=x"])
    with pytest.raises(ConfigError, match="--source is required"):
        parse("predict", PredictConfig, ["weights=x"])


def test_help_is_short_and_help_all_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("train", TrainConfig, ["--help"])
    short = capsys.readouterr().out
    with pytest.raises(SystemExit):
        parse("train", TrainConfig, ["--help-all"])
    long = capsys.readouterr().out
    assert "--max-minutes" in short
    assert "--optimizer.lr" not in short
    assert "--optimizer.lr" in long
    assert "_" not in "".join(word for word in short.split() if word.startswith("--"))


@pytest.mark.parametrize("name", [name for name in yolo.config.__all__ if name.endswith("Config")])
def test_every_option_has_a_sentence_and_a_default(name: str) -> None:
    for option in option_helps(getattr(yolo.config, name)):
        assert re.fullmatch(r"[A-Za-z0-9].*\.", option.text), option.name
        known = option.default not in (None, "", (), {}) or option.kind is bool
        assert known or re.search("efault|equired|With --", option.text), f"{option.name} does not say its default"


def test_the_default_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse("predict", PredictConfig, ["--help"])
    out = " ".join(capsys.readouterr().out.split())
    assert "--device DEVICE The device to compute on: auto, cpu, cuda, cuda:1 or mps. Default: auto." in out


def test_the_resolved_configuration_can_be_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_request:
        parse("train", TrainConfig, ["data=d", "--print-config"])
    assert exit_request.value.code in (0, None)
    assert "ignore_iou: 0.5" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "config", "empty"), [("train", TrainConfig, ["data"]), ("val", ValConfig, ["weights", "data"])]
)
def test_a_file_of_options_needs_not_say_what_they_are_for(
    capsys: pytest.CaptureFixture[str], command: str, config: type[Any], empty: list[str]
) -> None:
    """It ended in "--data is required"."""
    with pytest.raises(SystemExit):
        parse(command, config, ["batch=8", "--print-config"])
    values = yaml.safe_load(capsys.readouterr().out)
    assert values["batch_size"] == 8
    assert [name for name in values if name in ("data", "weights", "source") and not values[name]] == empty
    with pytest.raises(ConfigError, match="--batch must be at least 1"):
        parse(command, config, ["batch=0", "--print-config"])


def test_defaults_stand_behind_files_and_words(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("epochs: 7\nloss:\n  lambda_coord: 2\n")
    defaults = {"epochs": 5, "batch_size": 3, "loss.lambda_coord": 9.0, "loss.lambda_obj": 8.0, "optimizer.lr": 0.5}
    config = parse("train", TrainConfig, ["data=d", "--config", str(file), "lr0=0.25"], defaults=defaults)
    assert (config.epochs, config.batch_size) == (7, 3)
    assert (config.loss.lambda_coord, config.loss.lambda_obj, config.optimizer.lr) == (2.0, 8.0, 0.25)


def test_given_options_are_those_of_files_and_words_whatever_their_values(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text("epochs: 7\nloss:\n  lambda_coord: 5.0\n")
    words = ["--resume", "run", "--config", str(file), "lr0=2e-3", "--device=auto"]
    given = given_options("train", TrainConfig, words)
    assert given == {"resume", "epochs", "loss.lambda_coord", "optimizer.lr", "device"}


def test_factors_of_the_learning_rate_are_written_as_json(tmp_path: Path) -> None:
    words = ["data=d", "--optimizer.lr-factors", '{"backbone": 0.1, "head.*": 2}', "--freeze", "2"]
    config = parse("train", TrainConfig, words)
    assert config.optimizer.lr_factors == {"backbone": 0.1, "head.*": 2}
    assert str(config.freeze) == "2"
    file = tmp_path / "recipe.yaml"
    file.write_text("freeze: 2\noptimizer:\n  lr_factors:\n    stage2: 0.5\n")
    config = parse("train", TrainConfig, ["data=d", "--config", str(file)])
    assert (config.optimizer.lr_factors, str(config.freeze)) == ({"stage2": 0.5}, "2")
    with pytest.raises(ConfigError, match="the factor of backbone must be positive, got 0"):
        parse("train", TrainConfig, ["data=d", "--optimizer.lr-factors", '{"backbone": 0}'])


@pytest.mark.parametrize(
    ("words", "source"),
    [
        (["--source", "-img.jpg"], "-img.jpg"),
        (["--source", "-"], "-"),
        (["--source", "0"], "0"),
        (["source=[1]"], "[1]"),
        (["--source", "a=b.jpg"], "a=b.jpg"),
        (["--source", "a.jpg", "-b.jpg", "[1].jpg"], ("a.jpg", "-b.jpg", "[1].jpg")),
        (["--source=a.jpg", "b.jpg", "conf=0.5"], ("a.jpg", "b.jpg")),
        (["--source", "a.jpg", "x=y.jpg", "conf=0.5"], ("a.jpg", "x=y.jpg")),
    ],
)
def test_sources_are_taken_as_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], source: str | tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x=y.jpg").touch()  # of words such as this one, only files are sources
    for line in (["--weights", "w", *words, "--device", "cpu"], ["--device=cpu", "--weights=w", *words]):
        config = parse("predict", PredictConfig, line)
        assert (config.source, config.device) == (source, "cpu")
        assert config.score_threshold == (0.5 if "conf=0.5" in words else None)


def test_several_sources_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "options.yaml").write_text("weights: w\nsource: [a.jpg, b.jpg]\n")
    config = parse("predict", PredictConfig, ["--config", str(tmp_path / "options.yaml")])
    assert config.source == ("a.jpg", "b.jpg")
    config = parse("predict", PredictConfig, ["--config", str(tmp_path / "options.yaml"), "--source", "c.jpg"])
    assert config.source == "c.jpg"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--batch", "0"], "--batch must be at least 1, got 0"),
        (["input_size=5"], "--input_size must be at least 32, got 5"),
        (["--epochs", "1", "--max-batches", "1"], "give --epochs or --max-batches, not both"),
        (["--lr0", "-1"], "--lr0 must be positive, got -1.0"),
    ],
)
def test_a_value_out_of_its_range_is_named_as_it_was_written(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("train", TrainConfig, ["pets", *words])
    assert str(caught.value) == message


def test_save_and_verbose_of_other_packages_may_stand_alone() -> None:
    assert parse("train", TrainConfig, ["pets", "--save", "--verbose"]) == parse("train", TrainConfig, ["pets"])
    assert parse("predict", PredictConfig, ["W", "a.jpg", "--save"]).save_images


def test_what_is_to_be_known_of_a_foreign_option_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    with collected_warnings() as warnings:
        parse("train", TrainConfig, ["pets", "--scale", "0.5"])
    assert warnings == ["--scale: images shrink to 1 / (1 + scale) here, and to 1 - scale there"]
    assert capsys.readouterr() == ("", f"warning: {warnings[0]}\n")
