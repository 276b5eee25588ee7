import numpy as np

from yolo.detection_files.remarks import Remark, Remarks


def test_remarks_are_counted_and_examples_are_few() -> None:
    remarks = Remarks()
    for number in range(1000):
        remarks.add("a", "first message" if number == 0 else "other", f"line {number}", count=2)
    remarks.add("b", "second")
    first, second = remarks.list()
    assert (first.kind, first.count, first.message) == ("a", 2000, "first message")
    assert first.examples == tuple(f"line {number}" for number in range(5))
    assert second == Remark("b", 1, "second", ())
    assert str(first).startswith("2,000 x first message (such as line 0; ")
    assert str(second) == "1 x second"


def test_rows_are_counted_by_mask() -> None:
    remarks = Remarks()
    remarks.add_rows("none", "nothing", np.zeros(9, bool), str)
    remarks.add_rows("odd", "odd rows", np.arange(100) % 2 == 1, str)
    assert remarks.list() == (Remark("odd", 50, "odd rows", ("1", "3", "5", "7", "9")),)


def test_examples_are_printable_and_short() -> None:
    remarks = Remarks()
    remarks.add("a", "m", "\udcff" + "x" * 1000)
    (example,) = remarks.list()[0].examples
    assert example.encode() == b"?" + b"x" * 199
