import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.reference.darknet_layout import to_blocks
from yolo.grid import Coding, GridParts, GridSpec


def spec(coding: Coding = "linear", side: int = 4) -> GridSpec:
    return GridSpec(grid_size=side, boxes_per_cell=2, num_classes=3, coding=coding)


def test_the_channel_layout_is_b_times_xywhc_then_classes() -> None:
    raw = torch.arange(13.0).expand(1, 4, 4, 13)
    parts = spec().split(raw)
    assert parts.offset_xy[0, 0, 0].tolist() == [[0, 1], [5, 6]]
    assert parts.size_wh[0, 0, 0].tolist() == [[2, 3], [7, 8]]
    assert parts.confidence[0, 0, 0].tolist() == [4, 9]
    assert parts.class_probs[0, 0, 0].tolist() == [10, 11, 12]


def test_split_gives_views_and_join_is_its_inverse() -> None:
    raw = torch.rand(2, 4, 4, 13)
    parts = spec().split(raw)
    assert parts.confidence.data_ptr() == raw[..., 4:].data_ptr()
    assert torch.equal(spec().join(parts), raw)


def test_split_refuses_another_depth() -> None:
    with pytest.raises(ValueError, match="13 values"):
        spec().split(torch.rand(1, 4, 4, 14))


def test_encode_by_hand() -> None:
    # a 40x20 box around (100, 50) on a 200x100 (w x h) image, 4x4 cells of 50x25 pixels:
    # column 100/50 = 2, row 50/25 = 2, centre on the corner of its cell; w = 40/200, h = 20/100
    cells = spec().encode(torch.tensor([[80.0, 40.0, 120.0, 60.0]]), (100, 200))
    assert (cells.row.item(), cells.col.item()) == (2, 2)
    assert cells.offset_xy.tolist() == [[0.0, 0.0]]
    assert cells.size_wh[0].tolist() == pytest.approx([0.2**0.5, 0.2**0.5])


def test_row_is_y_and_column_is_x() -> None:
    cells = spec().encode(torch.tensor([[90.0, 0.0, 100.0, 10.0]]), (100, 100))
    assert (cells.row.item(), cells.col.item()) == (0, 3)


def test_a_centre_on_or_beyond_the_far_border_belongs_to_the_last_cell() -> None:
    cells = spec().encode(torch.tensor([[90.0, 90, 110, 110], [-30.0, -30, 10, 10]]), (100, 100))
    assert cells.row.tolist() == [3, 0]
    assert cells.col.tolist() == [3, 0]
    assert cells.offset_xy[0].tolist() == [1.0, 1.0]


def test_no_objects() -> None:
    cells = spec().encode(torch.zeros(0, 4), (10, 10))
    assert cells.row.shape == (0,)
    assert cells.offset_xy.shape == (0, 2)


@given(
    st.integers(1, 20),
    st.tuples(st.floats(0, 300), st.floats(0, 200), st.floats(1, 100), st.floats(1, 100)),
    st.sampled_from(["linear", "logistic", "wide"]),
)
def test_decode_of_encode_is_the_box(side: int, numbers: tuple[float, ...], coding: Coding) -> None:
    grid = spec(coding, side)
    x, y, w, h = numbers
    box = torch.tensor([[x, y, x + w, y + h]], dtype=torch.float64)
    cells = grid.encode(box, (300, 400))
    parts = GridParts(
        offset_xy=cells.offset_xy[:, None].expand(1, 2, 2),
        size_wh=cells.size_wh[:, None].expand(1, 2, 2),
        confidence=torch.zeros(1, 2),
        class_probs=torch.zeros(1, 3),
    )
    decoded = grid.decode_cells(parts, row=cells.row, col=cells.col)[:, 0] * torch.tensor([400, 300, 400, 300])
    torch.testing.assert_close(decoded, box, atol=1e-3, rtol=1e-5)


def test_decode_boxes_agrees_with_decode_cells_everywhere() -> None:
    grid = spec("logistic")
    parts = grid.activate(grid.split(torch.randn(2, 4, 4, 13)))
    whole = grid.decode_boxes(parts)
    for row in range(4):
        for col in range(4):
            cell = GridParts(*(part[:, row, col] for part in parts))
            one = grid.decode_cells(cell, row=torch.tensor([row, row]), col=torch.tensor([col, col]))
            torch.testing.assert_close(whole[:, row, col], one)


def test_a_negative_root_is_squared() -> None:
    grid = spec("linear")
    parts = GridParts(
        offset_xy=torch.zeros(1, 2, 2),
        size_wh=torch.full((1, 2, 2), -0.5),
        confidence=torch.zeros(1, 2),
        class_probs=torch.zeros(1, 3),
    )
    x1, _, x2, _ = grid.decode_cells(parts, row=torch.tensor([1]), col=torch.tensor([1]))[0, 0]
    assert (x2 - x1).item() == pytest.approx(0.25)


def test_logistic_is_the_sigmoid_of_linear() -> None:
    raw = torch.randn(1, 4, 4, 13)
    linear, logistic = spec("linear"), spec("logistic")
    torch.testing.assert_close(
        logistic.join(logistic.activate(logistic.split(raw))), linear.join(linear.split(raw)).sigmoid()
    )


def test_wide_offsets_reach_half_a_cell_beyond_the_cell() -> None:
    raw = torch.tensor([-40.0, 0.0, 40.0])[:, None].expand(3, 13)
    wide = spec("wide").activate(spec("wide").split(raw))
    assert wide.offset_xy[:, 0, 0].tolist() == pytest.approx([-0.5, 0.5, 1.5])
    assert wide.size_wh[:, 0, 0].tolist() == pytest.approx([0, 0.5, 1])
    for one, other in zip(wide, spec("wide").activate_raw(raw), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("coding", ["linear", "logistic", "wide"])
def test_invert_is_the_inverse_of_activate(coding: Coding) -> None:
    grid = spec(coding)
    raw = torch.linspace(-3, 3, 13)
    torch.testing.assert_close(grid.join(grid.invert(grid.activate(grid.split(raw)))), raw)


def test_neighbours_by_hand() -> None:
    """4x4 cells; centres in the left upper quarter of cell (1, 2), and in the right lower one of the last cell."""
    owners = spec().encode(torch.tensor([[50.0, 25.0, 60.0, 35.0], [90.0, 90.0, 98.0, 98.0]]), (100, 100))
    assert owners.offset_xy[0].tolist() == pytest.approx([0.2, 0.2])
    cells, on_grid = spec().with_neighbours(owners)
    assert list(zip(cells.row.tolist(), cells.col.tolist(), strict=True)) == [
        (1, 2),
        (3, 3),
        (1, 1),
        (3, 3),
        (0, 2),
        (3, 3),
    ]
    assert on_grid.tolist() == [True, True, True, False, True, False]
    assert cells.offset_xy[2].tolist() == pytest.approx([1.2, 0.2])
    assert cells.offset_xy[4].tolist() == pytest.approx([0.2, 1.2])


@given(st.integers(1, 20), st.tuples(*[st.floats(0, 100)] * 2))
def test_every_neighbour_stands_for_the_same_box_and_can_answer_it(side: int, centre: tuple[float, float]) -> None:
    grid = spec("wide", side)
    x, y = centre
    box = torch.tensor([[x - 5, y - 5, x + 5, y + 5]], dtype=torch.float64)
    cells, on_grid = grid.with_neighbours(grid.encode(box, (100, 100)))
    parts = GridParts(cells.offset_xy[:, None], cells.size_wh[:, None], torch.zeros(3, 1), torch.zeros(3, 3))
    decoded = grid.decode_cells(parts, row=cells.row, col=cells.col)[:, 0] * 100
    torch.testing.assert_close(decoded[on_grid], box.expand(int(on_grid.sum()), 4), atol=1e-3, rtol=1e-5)
    assert on_grid[0]
    assert ((cells.offset_xy >= -0.5 - 1e-9) & (cells.offset_xy <= 1.5 + 1e-9))[on_grid].all()
    on_its_own = set(zip(cells.row[on_grid].tolist(), cells.col[on_grid].tolist(), strict=True))
    assert len(on_its_own) == int(on_grid.sum())


@pytest.mark.parametrize(("side", "boxes", "classes"), [(0, 2, 20), (7, 0, 20), (7, 2, 0)])
def test_impossible_grids_are_refused(side: int, boxes: int, classes: int) -> None:
    with pytest.raises(ValueError, match="must be at least 1"):
        GridSpec(grid_size=side, boxes_per_cell=boxes, num_classes=classes)


def test_blocks_hold_classes_then_confidences_then_boxes() -> None:
    """S = 2, B = 2, C = 3: 12 class values, 8 confidences, 32 coordinates, each block by row, then column."""
    spec = GridSpec(grid_size=2, boxes_per_cell=2, num_classes=3, coding="linear")
    flat = torch.arange(2 * 2 * 13, dtype=torch.float32)[None]
    parts = spec.split(spec.from_blocks(flat))
    row, col, predictor = 1, 0, 1
    cell = row * 2 + col
    assert parts.class_probs[0, row, col].tolist() == [cell * 3, cell * 3 + 1, cell * 3 + 2]
    assert float(parts.confidence[0, row, col, predictor]) == 12 + cell * 2 + predictor
    first = 20 + (cell * 2 + predictor) * 4
    assert parts.offset_xy[0, row, col, predictor].tolist() == [first, first + 1]
    assert parts.size_wh[0, row, col, predictor].tolist() == [first + 2, first + 3]


@pytest.mark.parametrize(("side", "boxes", "classes"), [(1, 1, 1), (7, 3, 20), (3, 2, 1)])
def test_blocks_there_and_back(side: int, boxes: int, classes: int) -> None:
    spec = GridSpec(grid_size=side, boxes_per_cell=boxes, num_classes=classes, coding="linear")
    flat = torch.rand(4, spec.num_values)
    assert torch.equal(to_blocks(spec, spec.from_blocks(flat)), flat)
    raw = torch.rand(2, side, side, spec.depth)
    assert torch.equal(spec.from_blocks(to_blocks(spec, raw)), raw)
    assert torch.equal(spec.to_blocks(raw), to_blocks(spec, raw))


def test_class_values_are_taken_over_by_label_and_box_values_as_they_are() -> None:
    """Own classes 0, 1, 2; the other grid has its own 0 as this grid's 2, and its 1 as this grid's 0."""
    other = GridSpec(grid_size=4, boxes_per_cell=2, num_classes=2, coding="linear")
    own, theirs = torch.arange(13.0), torch.arange(100.0, 112.0)  # box values 100 to 109, class values 110, 111
    made = spec().with_classes_of(own, other, theirs, {2: 0, 0: 1})
    assert made.tolist() == [*range(100, 110), 111, 11, 110]
    assert own.tolist() == [*range(13)]
    assert spec().with_classes_of(own, other, theirs, {}).tolist() == [*range(100, 110), 10, 11, 12]


def test_grids_with_other_predictors_have_no_common_box_values() -> None:
    other = GridSpec(grid_size=4, boxes_per_cell=1, num_classes=3)
    with pytest.raises(ValueError, match="B must be 2 in both grids, got 1"):
        spec().with_classes_of(torch.zeros(13), other, torch.zeros(8), {})


def test_blocks_of_another_length_are_refused() -> None:
    with pytest.raises(ValueError, match="1470"):
        GridSpec(grid_size=7, boxes_per_cell=2, num_classes=20).from_blocks(torch.zeros(1, 1715))


def test_plain_sizes_are_no_roots() -> None:
    spec = GridSpec(grid_size=1, boxes_per_cell=1, num_classes=1, coding="linear", root_sizes=False)
    box = torch.tensor([[0.25, 0.3, 0.75, 0.5]])
    cells = spec.encode(box, (1, 1))
    assert cells.size_wh[0].tolist() == pytest.approx([0.5, 0.2])
    parts = GridParts(cells.offset_xy[:, None], cells.size_wh[:, None], torch.ones(1, 1), torch.ones(1, 1))
    assert spec.decode_cells(parts, row=cells.row, col=cells.col)[0, 0].tolist() == pytest.approx(box[0].tolist())


def test_a_class_softmax_touches_class_values_only() -> None:
    spec = GridSpec(grid_size=2, boxes_per_cell=1, num_classes=3, coding="linear", class_softmax=True)
    raw = torch.randn(1, 2, 2, spec.depth)
    parts, plain = spec.activate_raw(raw), spec.split(raw)
    assert parts.class_probs.sum(dim=-1).flatten().tolist() == pytest.approx([1.0] * 4)
    for name in ("offset_xy", "size_wh", "confidence"):
        assert torch.equal(getattr(parts, name), getattr(plain, name))


def test_a_class_softmax_needs_the_linear_coding() -> None:
    with pytest.raises(ValueError, match="linear"):
        GridSpec(grid_size=2, boxes_per_cell=1, num_classes=3, coding="logistic", class_softmax=True)
