import pytest

from tests.darknet.networks import detector_cfg
from yolo.darknet.adapt import with_classes
from yolo.darknet.catalogue import NETWORKS, find_cfg
from yolo.darknet.cfg import Cfg, parse_cfg
from yolo.darknet.plan import plan_cfg
from yolo.errors import ConfigError


def parsed(text: str) -> Cfg:
    return parse_cfg(text, source="small.cfg")


def changed_lines(before: str, after: str) -> list[tuple[str, str]]:
    pairs = zip(before.split("\n"), after.split("\n"), strict=True)
    return [(old, new) for old, new in pairs if old != new]


@pytest.mark.parametrize("classes", [1, 3, 80])
def test_two_numbers_change_and_nothing_else(classes: int) -> None:
    text = "# odd\tspaces ,\f and\u2028ends stay\n" + detector_cfg(before="; last\f one\n\n") + "\n\n# end"
    cfg = with_classes(parsed(text), classes)
    outputs = 2 * 2 * (5 * 2 + classes)
    assert changed_lines(text, cfg.text) == [
        ("output=48", f"output = {outputs}"),
        ("classes=2", f"classes = {classes}"),
    ]
    assert cfg.source == "small.cfg"
    plan = plan_cfg(cfg)
    assert plan.detection is not None
    assert (plan.detection.num_classes, plan.layers[-2].out_shape.size) == (classes, outputs)


def test_windows_line_ends_stay() -> None:
    text = detector_cfg().replace("\n", "\r\n")
    cfg = with_classes(parsed(text), 5)
    assert cfg.text.count("\r\n") == cfg.text.count("\n") == text.count("\n")
    without = with_classes(parsed(text.replace("classes=2\r\n", "").replace("output=48", "output=44")), 5)
    assert without.text.count("\r\n") == without.text.count("\n") == text.count("\n")


@pytest.mark.parametrize("line", ["", "classes=\n", "classes\n", "# classes=2\n"])
def test_a_number_that_was_left_to_its_default_is_written(line: str) -> None:
    # darknet's default is one class
    text = detector_cfg(classes=1).replace("classes=1\n", line)
    plan = plan_cfg(with_classes(parsed(text), 4))
    assert plan.detection is not None
    assert plan.detection.num_classes == 4


def test_the_first_of_two_equal_keys_is_the_one_that_counts() -> None:
    text = (
        detector_cfg().replace("classes=2\n", "classes=2\nclasses=7\n").replace("output=48\n", "output=48\noutput=9\n")
    )
    after = with_classes(parsed(text), 4).text
    assert changed_lines(text, after) == [("output=48", "output = 56"), ("classes=2", "classes = 4")]


def test_other_layers_with_an_output_stay() -> None:
    text = detector_cfg(before="[dropout]\nprobability=.5\n\n")
    text = text.replace("[connected]\n", "[connected]\noutput=7\n\n[conn]\n", 1)
    after = with_classes(parsed(text), 3).text
    assert changed_lines(text, after) == [("output=48", "output = 52"), ("classes=2", "classes = 3")]


def test_a_cfg_of_that_many_classes_stays_as_it_is() -> None:
    cfg = parsed(detector_cfg(classes=2))
    assert with_classes(cfg, 2) is cfg


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "extraction"])
def test_shipped_detectors_can_learn_other_classes(name: str) -> None:
    before = find_cfg(name)
    after = with_classes(before, 3)
    assert len(changed_lines(before.text, after.text)) == 2
    plan = plan_cfg(after)
    assert plan.detection is not None
    assert plan.detection.num_classes == 3


@pytest.mark.parametrize(
    "last", ["[local]\nfilters=12\nsize=1\n", "[convolutional]\nfilters=12\n", "[activation]\nactivation=linear\n"]
)
def test_other_last_layers_are_refused_with_the_place(last: str) -> None:
    head, _, detection = detector_cfg(side=4).partition("[connected]\n")
    matrix, _, detection = detection.partition("[detection]")
    text = head + ("[connected]\n" + matrix if "activation]" in last else "") + last + "[detection]" + detection
    line = text[: text.index("[detection]")].count("\n") + 1
    with pytest.raises(ConfigError, match=rf"small\.cfg:{line}: .* has 2 classes, the data 3; .*\[connected\]"):
        with_classes(parsed(text), 3)


def test_more_classes_than_a_network_can_have_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"small\.cfg"):
        plan_cfg(with_classes(parsed(detector_cfg()), 2**30))
