import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.reference.darknet_layout import cxcywh_to_xyxy
from tests.reference.darknet_nms import SuppressedList, nms_by_class, nms_by_confidence
from tests.reference.golden import golden_npz
from yolo.grid import GridSpec
from yolo.postprocess.pipeline import decode, suppress
from yolo.structures import Detections

VARIANTS = {"sort": nms_by_class, "obj": nms_by_confidence}


def golden_cases() -> dict[str, dict[str, Tensor]]:
    cases: dict[str, dict[str, Tensor]] = {}
    for key, values in golden_npz("nms_cases.npz").items():
        case, name = key.split("__")
        cases.setdefault(case, {})[name] = torch.from_numpy(np.asarray(values))
    return cases


@pytest.mark.parametrize("variant", VARIANTS)
def test_equals_darknet_on_hand_made_lists(variant: str) -> None:
    for name, case in golden_cases().items():
        threshold = float(case["thresh"])
        result = VARIANTS[variant](
            cxcywh_to_xyxy(case["boxes"]), case["objectness"], case["prob"], iou_threshold=threshold
        )
        assert torch.equal(result.order, case[f"{variant}_order"].long()), name
        assert torch.equal(result.confidence, case[f"{variant}_objectness"]), name
        assert torch.equal(result.scores, case[f"{variant}_prob"]), name


@pytest.mark.parametrize("net", ["tiny_like", "yolov1_like"])
@pytest.mark.parametrize("threshold", ["t00", "t20"])
def test_decoding_and_suppression_equal_darknet(net: str, threshold: str) -> None:
    golden = golden_npz(f"{net}_inference.npz")
    spec = GridSpec(
        grid_size=int(golden["side"]),
        boxes_per_cell=int(golden["num"]),
        num_classes=int(golden["classes"]),
        coding="linear",
        root_sizes=bool(golden["sqrt"]),
    )
    raw = spec.from_blocks(torch.from_numpy(golden["output"]))
    threshold_iou = float(golden["nms_thresh"])
    for unit, (width, height) in {"rel": (1, 1), "px": (200, 120)}.items():
        wanted = {key: golden[f"raw_{unit}_{threshold}_{key}"] for key in ("boxes", "objectness", "prob")}
        parts = spec.activate_raw(raw)
        boxes = (spec.decode_boxes(parts) * torch.tensor([width, height, width, height])).flatten(1, 3)
        tolerance = 2e-3 if unit == "px" else 1e-5
        assert boxes.numpy() == pytest.approx(cxcywh_to_xyxy(torch.from_numpy(wanted["boxes"])).numpy(), abs=tolerance)
        limit = int(threshold[1:]) / 100
        scores = (parts.confidence[..., None] * parts.class_probs[..., None, :]).flatten(1, 3)
        scores = torch.where(scores > limit, scores, 0)
        assert scores.numpy() == pytest.approx(wanted["prob"], rel=1e-5, abs=1e-6)
        for variant, nms in VARIANTS.items():
            for image in range(len(raw)):
                result = nms(
                    boxes[image], parts.confidence[image].flatten(), scores[image], iou_threshold=threshold_iou
                )
                name = f"nms_{variant}_{unit}_{threshold}"
                if f"{name}_order" not in golden:  # pixels were suppressed at threshold 0 only
                    continue
                assert result.order.tolist() == golden[f"{name}_order"][image].tolist()
                zeroed = golden[f"{name}_prob"][image] == 0
                assert ((result.scores == 0).numpy() == zeroed).all()


@pytest.mark.parametrize("net", ["tiny_like", "yolov1_like"])
def test_the_fast_way_keeps_what_darknet_keeps(net: str) -> None:
    golden = golden_npz(f"{net}_inference.npz")
    spec = GridSpec(
        grid_size=int(golden["side"]),
        boxes_per_cell=int(golden["num"]),
        num_classes=int(golden["classes"]),
        coding="linear",
    )
    raw = spec.from_blocks(torch.from_numpy(golden["output"]))
    for image, found in enumerate(decode(spec, raw, input_hw=(120, 200), score_threshold=0.2)):
        kept = suppress(found, iou_threshold=float(golden["nms_thresh"]), max_detections=1000)
        prob = golden["nms_sort_rel_t20_prob"][image]
        rows, labels = np.nonzero(prob)
        wanted = sorted(zip(prob[rows, labels].tolist(), labels.tolist(), strict=True), reverse=True)
        assert kept.labels.tolist() == [label for _, label in wanted]
        assert kept.scores.tolist() == pytest.approx([score for score, _ in wanted], rel=1e-5)


def test_only_the_class_is_suppressed_by_class_and_all_by_confidence() -> None:
    """Two equal boxes; the first is the better cat, the second the better dog and the more confident."""
    boxes = torch.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 10]])
    confidence, scores = torch.tensor([0.8, 0.9]), torch.tensor([[0.7, 0.1], [0.2, 0.6]])
    by_class = nms_by_class(boxes, confidence, scores, iou_threshold=0.5)
    assert by_class.scores[by_class.order.argsort()].tolist() == pytest.approx(np.array([[0.7, 0], [0, 0.6]]))
    by_confidence = nms_by_confidence(boxes, confidence, scores, iou_threshold=0.5)
    assert by_confidence.order.tolist() == [1, 0]
    assert by_confidence.confidence.tolist() == pytest.approx([0.9, 0])
    assert by_confidence.scores.tolist() == pytest.approx(np.array([[0.2, 0.6], [0, 0]]))


def test_confidence_zero_goes_to_the_end_by_swaps() -> None:
    confidence = torch.tensor([0.0, 0.5, 0.0, 0.6])
    result = nms_by_class(torch.zeros(4, 4), confidence, torch.zeros(4, 1), iou_threshold=0.5)
    # 0 and 3 are swapped, then 2 meets itself at the end of what is left
    assert result.order.tolist() == [3, 1, 2, 0]


def test_empty() -> None:
    for nms in VARIANTS.values():
        result = nms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 3), iou_threshold=0.5)
        assert isinstance(result, SuppressedList)
        assert result.scores.shape == (0, 3)


@settings(max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 25), st.integers(1, 3))
def test_the_fast_way_keeps_the_same(seed: int, count: int, num_classes: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, generator=generator) * 50
    boxes = torch.cat((corners, corners + 1 + torch.rand(count, 2, generator=generator) * 30), dim=1)
    scores = torch.rand(count, num_classes, generator=generator)
    slow = nms_by_class(boxes, torch.ones(count), scores, iou_threshold=0.45)
    survivors = {(int(slow.order[row]), label) for row, label in torch.nonzero(slow.scores).tolist()}
    rows, labels = torch.nonzero(scores, as_tuple=True)
    listed = Detections(boxes[rows], scores[rows, labels], labels, (100, 100))
    fast = suppress(listed, iou_threshold=0.45, max_detections=10_000)
    assert len(fast) == len(survivors)
    wanted = sorted((float(scores[row, label]) for row, label in survivors), reverse=True)
    assert fast.scores.tolist() == wanted
