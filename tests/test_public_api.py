import yolo


def test_all_is_sorted_small_and_true() -> None:
    assert yolo.__all__ == sorted(yolo.__all__)
    assert len(yolo.__all__) <= 20
    for name in yolo.__all__:
        assert getattr(yolo, name) is not None


def test_unknown_names_are_attribute_errors() -> None:
    assert not hasattr(yolo, "nothing_of_that_name")
