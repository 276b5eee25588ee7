from collections.abc import Sequence

import numpy as np

from tests.inspection.doctor_splits import Objects, split_of
from yolo.data.descriptor import Split
from yolo.inspection.findings import Finding
from yolo.inspection.image_facts import ImageFacts
from yolo.inspection.leaks import leak_findings, placed_images

CAT: Objects = [(0, (10, 10, 50, 50))]


def facts_of(**pictures: tuple[bytes, int]) -> dict[str, ImageFacts]:
    """By name of the image: its content, and the number of the picture that it shows."""
    facts = {}
    for name, (content, picture) in pictures.items():
        generator = np.random.default_rng(picture)
        facts[f"/data/{name}.jpg"] = ImageFacts(
            (),
            broken=False,
            content=content,
            pixels=bytes([picture]),
            fingerprint=int(generator.integers(2**63)),
            thumbnail=generator.integers(0, 256, 256).astype(np.uint8).tobytes(),
        )
    return facts


def by_picture(facts: dict[str, ImageFacts]) -> dict[str, ImageFacts]:
    """The same, as if no reduced pixels were equal: what is left is that pictures are alike."""
    return {path: one._replace(pixels=path.encode()) for path, one in facts.items()}


def found(splits: Sequence[Split], facts: dict[str, ImageFacts], *, most_bits: int = 4) -> list[Finding]:
    asked: list[str] = []

    def digests(paths: Sequence[str]) -> list[bytes]:
        asked.extend(paths)
        return [facts[path].pixels for path in paths]

    return leak_findings(placed_images(splits), facts, most_bits=most_bits, digests=digests)


def short(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(item.kind, item.message) for item in findings]


def test_different_images_are_nothing() -> None:
    splits = [split_of({"a": CAT, "b": CAT}), split_of({"c": CAT}, name="val")]
    assert found(splits, facts_of(a=(b"a", 1), b=(b"b", 2), c=(b"c", 3))) == []


def test_one_file_in_two_splits() -> None:
    splits = [split_of({"a": CAT, "b": CAT}), split_of({"a": CAT}, name="val")]
    assert short(found(splits, facts_of(a=(b"a", 1), b=(b"b", 2)))) == [("same_file_in_splits", "is in train and val")]


def test_trainval_may_repeat_train_and_val() -> None:
    splits = [
        split_of({"a": CAT}),
        split_of({"b": CAT}, name="val"),
        split_of({"a": CAT, "b": CAT, "c": CAT}, name="trainval"),
        split_of({"d": CAT}, name="test"),
    ]
    facts = facts_of(a=(b"a", 1), b=(b"b", 2), c=(b"c", 3), d=(b"d", 4))
    assert found(splits, facts) == []
    # what only trainval has may be taught with train, but must not be in test
    facts = facts_of(a=(b"a", 1), b=(b"b", 2), c=(b"a", 1), d=(b"d", 4))
    assert [item.kind for item in found(splits, facts)] == ["duplicate_image"]
    facts = facts_of(a=(b"a", 1), b=(b"b", 2), c=(b"d", 4), d=(b"d", 4))
    assert [item.kind for item in found(splits, facts)] == ["duplicate_across_splits"]


def test_copies_in_a_split_and_across() -> None:
    splits = [split_of({"a": CAT, "b": CAT}), split_of({"c": CAT, "d": CAT}, name="val")]
    assert short(found(splits, facts_of(a=(b"x", 1), b=(b"x", 1), c=(b"c", 3), d=(b"d", 4)))) == [
        ("duplicate_image", "the same bytes, with the same annotations: a.jpg (train), b.jpg (train)")
    ]
    items = found(splits, facts_of(a=(b"x", 1), b=(b"b", 2), c=(b"y", 1), d=(b"d", 4)))
    assert short(items) == [
        ("duplicate_across_splits", "the same pixels, with the same annotations: a.jpg (train), c.jpg (val)")
    ]
    assert [(image.path, image.split) for image in items[0].images] == [
        ("/data/a.jpg", "train"),
        ("/data/c.jpg", "val"),
    ]


def test_reduced_pixels_alone_prove_nothing() -> None:
    splits = [split_of({"a": CAT, "b": CAT})]
    facts = facts_of(a=(b"a", 1), b=(b"b", 1))
    unequal = leak_findings(
        placed_images(splits), facts, most_bits=-1, digests=lambda paths: [path.encode() for path in paths]
    )
    assert unequal == []


def test_only_doubtful_files_are_decoded_in_full() -> None:
    asked: list[str] = []

    def digests(paths: Sequence[str]) -> list[bytes]:
        asked.extend(paths)
        return [b"same"] * len(paths)

    splits = [split_of(dict.fromkeys("abcde", CAT))]
    facts = facts_of(a=(b"x", 1), b=(b"x", 1), c=(b"y", 2), d=(b"z", 2), e=(b"z", 2))
    kinds = [item.kind for item in leak_findings(placed_images(splits), facts, most_bits=-1, digests=digests)]
    assert asked == ["/data/c.jpg", "/data/d.jpg"]
    assert kinds == ["duplicate_image", "duplicate_image"]


def test_conflicting_annotations() -> None:
    facts = facts_of(a=(b"x", 1), b=(b"x", 1))

    def difference(second: Objects) -> list[str]:
        items = found([split_of({"a": CAT, "b": second})], facts)
        return [item.message for item in items if item.kind == "conflicting_annotations"]

    names = "a.jpg (train), b.jpg (train)"
    assert difference([(0, (11, 11, 51, 51))]) == []  # a pixel is rounding
    assert difference([]) == [f"1 and 0 objects: {names}"]
    assert difference([(1, (10, 10, 50, 50))]) == [f"one thing is 'cat' and 'dog': {names}"]
    assert difference([(0, (10, 10, 80, 50))]) == [f"the boxes of 'cat' differ: {names}"]


def test_the_order_of_objects_does_not_matter() -> None:
    two: Objects = [(0, (10, 10, 50, 50)), (1, (100, 100, 150, 150))]
    items = found([split_of({"a": two, "b": two[::-1]})], facts_of(a=(b"x", 1), b=(b"x", 1)))
    assert [item.kind for item in items] == ["duplicate_image"]


def test_near_copies() -> None:
    facts = by_picture(facts_of(a=(b"a", 1), b=(b"b", 1), c=(b"c", 2), d=(b"d", 2), e=(b"e", 1)))
    splits = [split_of({"a": CAT, "b": CAT, "c": CAT}), split_of({"d": CAT, "e": CAT}, name="val")]
    items = found(splits, facts)
    assert short(items) == [
        ("near_duplicate_across_splits", "a.jpg (train), b.jpg (train), e.jpg (val)"),
        ("near_duplicate_across_splits", "c.jpg (train), d.jpg (val)"),
    ]
    # side by side: two from different splits
    assert {image.split for image in items[0].images} == {"train", "val"}
    assert found(splits, facts, most_bits=-1) == []
    one = [split_of(dict.fromkeys("abcde", CAT))]
    assert [item.kind for item in found(one, facts)] == ["near_duplicate"] * 2


def test_copies_are_not_near_copies_as_well() -> None:
    items = found([split_of({"a": CAT, "b": CAT})], facts_of(a=(b"x", 1), b=(b"x", 1)))
    assert [item.kind for item in items] == ["duplicate_image"]


def test_broken_images_are_not_compared() -> None:
    facts = {path: one._replace(broken=True) for path, one in facts_of(a=(b"x", 1), b=(b"x", 1)).items()}
    assert found([split_of({"a": CAT, "b": CAT})], facts) == []


def test_large_groups_are_named_in_short() -> None:
    names = [f"n{place}" for place in range(9)]
    facts = facts_of(**dict.fromkeys(names, (b"x", 1)))
    (item,) = found([split_of(dict.fromkeys(names, CAT))], facts)
    assert item.message.endswith("n4.jpg (train), n5.jpg (train) and 3 more")
