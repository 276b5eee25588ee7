import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from yolo.geometry import ResizeMode, place_boxes, plan_resize
from yolo.postprocess.pipeline import restore
from yolo.structures import Detections, GroundTruth


@given(
    st.integers(20, 900),
    st.integers(20, 900),
    st.sampled_from([64, 320]),
    st.sampled_from(["letterbox", "stretch"]),
)
def test_restore_undoes_placing(height: int, width: int, size: int, mode: ResizeMode) -> None:
    geometry = plan_resize((height, width), (size, size), mode)
    boxes = np.array([[0.1 * width, 0.2 * height, 0.7 * width, 0.9 * height]], np.float32)
    placed = place_boxes(GroundTruth.from_boxes(boxes, [0]), geometry).boxes
    found = Detections(torch.from_numpy(placed), torch.ones(1), torch.zeros(1, dtype=torch.int64), (size, size))
    restored = restore(found, geometry)
    assert restored.size_hw == (height, width)
    torch.testing.assert_close(restored.boxes, torch.from_numpy(boxes), atol=2e-3, rtol=1e-4)


def test_what_lies_in_the_padding_is_dropped_and_the_rest_is_clipped() -> None:
    # 100x200 on 64: scaled by 0.32 to 32x64, 16 rows of padding above and below
    geometry = plan_resize((100, 200), (64, 64), "letterbox")
    boxes = torch.tensor([[0.0, 0, 64, 10], [0, 10, 32, 32]])
    found = Detections(boxes, torch.tensor([0.9, 0.8]), torch.zeros(2, dtype=torch.int64), (64, 64))
    restored = restore(found, geometry)
    assert restored.boxes.tolist() == [[0.0, 0.0, 100.0, 50.0]]
