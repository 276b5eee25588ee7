import pytest

from yolo.config.python_words import in_python, python_words
from yolo.errors import ConfigError, SaveError, WeightsError


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("--data is required: a dataset YAML or folder", "data is required: a dataset YAML or folder"),
        ("--show draws pictures: leave out --no-save-images", "show=True draws pictures: leave out save_images=False"),
        ("this machine has none; use --device cpu", "this machine has none; use device='cpu'"),
        ("before --start 2.5, or --imgsz 64", "before start=2.5, or input_size=64"),
        ("--line '0,1': give two points", "line='0,1': give two points"),
        ("lower --optimizer.lr (now 0.1)", "lower optimizer.lr (now 0.1)"),
        ("--weights none, with --clear-seen true", "weights='none', with clear_seen=True"),
        ("--conf runs/val/m.json: is a folder", "score_threshold='runs/val/m.json': is a folder"),
        # a command to be copied, and what is no option of a function
        ("continue it with: gridyolo train --resume runs/a", "continue it with: gridyolo train --resume runs/a"),
        ("see `gridyolo train --help-all`, or --name", "see `gridyolo train --help-all`, or name"),
        ("pip install --upgrade torch", "pip install --upgrade torch"),
        ("a name--with-dashes and --nothing-known", "a name--with-dashes and --nothing-known"),
    ],
)
def test_options_become_arguments(said: str, meant: str) -> None:
    assert in_python(said) == meant
    assert in_python(meant) == meant


def test_errors_keep_their_class_and_what_the_system_said() -> None:
    with pytest.raises(WeightsError, match=r"^device is odd$"), python_words(), python_words():
        raise WeightsError("--device is odd")
    with pytest.raises(SaveError) as caught, python_words():
        raise SaveError(28, "No space left: --name")
    assert (caught.value.errno, caught.value.strerror) == (28, "No space left: --name")
    with pytest.raises(ValueError, match="--device"), python_words():
        raise ValueError("--device")
    assert issubclass(ConfigError, Exception)
