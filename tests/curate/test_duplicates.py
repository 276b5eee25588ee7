import time
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.curate.annotated import Objects, split_of
from tests.reference.slow_duplicates import slow_close_pairs, slow_near_groups
from yolo.curate.duplicates import close_pairs, equal_groups, images_in_splits, leak_findings, near_groups
from yolo.curate.findings import Finding
from yolo.curate.images import ImageFacts
from yolo.data.read import Split


def thumbnails(seed: int, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 256)).astype(np.uint8)


def found_pairs(fingerprints: list[int], most_bits: int) -> set[tuple[int, int]]:
    pairs = close_pairs(np.array(fingerprints, np.uint64), most_bits)
    return {pair for first, second in pairs for pair in zip(first.tolist(), second.tolist(), strict=True)}


def members(links: list[tuple[int, int]]) -> tuple[int, ...]:
    return tuple(sorted({place for link in links for place in link}))


def flipped(value: int, bits: list[int]) -> int:
    for bit in bits:
        value ^= 1 << bit
    return value


# few bits, so that there are close ones; spread over all 64, so that every band has some
sparse = st.integers(0, 2**12 - 1).map(lambda value: sum(((value >> bit) & 1) << (bit * 5 + 3) for bit in range(12)))


@settings(deadline=None)
@given(st.lists(sparse, max_size=25), st.integers(0, 16))
def test_close_pairs_are_those_of_comparing_all(fingerprints: list[int], most_bits: int) -> None:
    assert found_pairs(fingerprints, most_bits) == slow_close_pairs(fingerprints, most_bits)


@settings(deadline=None)
@given(
    st.integers(0, 2**64 - 1),
    st.integers(0, 16).flatmap(
        lambda most: st.tuples(
            st.just(most), st.lists(st.integers(0, 63), min_size=most, max_size=most + 1, unique=True)
        )
    ),
)
def test_a_pair_is_found_wherever_its_bits_differ(value: int, case: tuple[int, list[int]]) -> None:
    most_bits, bits = case
    expected = {(0, 1)} if len(bits) <= most_bits else set()
    assert found_pairs([value, flipped(value, bits)], most_bits) == expected


@pytest.mark.parametrize("most_bits", [0, 4, 6, 12])
def test_groups_are_those_of_comparing_all(most_bits: int) -> None:
    generator = np.random.default_rng(most_bits)
    base = [int(value) for value in generator.integers(0, 2**63, 12)]
    # each picture several times, with 0 to 7 bits and some grey values changed
    prints, pictures = [], []
    for place, picture in enumerate(thumbnails(1, 12)):
        for copy in range(5):
            bits = generator.choice(64, copy * 2 % 8, replace=False).tolist()
            prints.append(flipped(base[place], bits))
            noise = generator.normal(0, 40 * (copy == 3), 256)
            pictures.append(np.clip(picture + noise, 0, 255).astype(np.uint8))
    found = near_groups(np.array(prints, np.uint64), np.stack(pictures), most_bits=most_bits)
    expected = slow_near_groups(prints, np.stack(pictures), most_bits)
    assert [members(links) for links in found] == expected
    assert 8 <= len(expected) <= 20
    for links in found:  # they connect all members, and are no more than that takes
        assert len(links) == len(members(links)) - 1


def test_plain_pictures_are_no_duplicates_of_one_another() -> None:
    y, x = np.mgrid[:16, :16] / 15
    skies = [200 - 60 * y + 20 * x, 190 - 50 * y, 180 - 40 * y * y + 10 * x * y, np.full((16, 16), 128)]
    pictures = np.stack([sky.astype(np.uint8).ravel() for sky in skies])
    assert near_groups(np.zeros(4, np.uint64), pictures, most_bits=4) == []


def test_what_is_left_of_plain_pictures_is_noise_even_where_it_is_equal() -> None:
    noise = np.random.default_rng(0).integers(0, 2, 256)
    pair = np.stack([120 + noise, 60 + noise]).astype(np.uint8)
    assert near_groups(np.zeros(2, np.uint64), pair, most_bits=4) == []
    assert (
        len(near_groups(np.zeros(2, np.uint64), np.stack([10 * noise, 20 * noise]).astype(np.uint8), most_bits=4)) == 1
    )


def detail(seed: int, contrast: float) -> NDArray[np.float64]:
    """(256,) grey values of that contrast, without mean, slope and curvature."""
    y, x = np.mgrid[-1:1:16j, -1:1:16j].reshape(2, -1)
    surface = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    values = np.random.default_rng(seed).normal(size=256)
    values -= surface @ np.linalg.lstsq(surface, values, rcond=None)[0]
    return np.asarray(values * contrast / values.std())


@pytest.mark.parametrize(
    ("correlation", "contrast", "alike"), [(0.905, 30, True), (0.895, 30, False), (0.99, 3.1, True), (0.99, 2.9, False)]
)
def test_limits_of_likeness(correlation: float, contrast: float, alike: bool) -> None:
    first, other = detail(0, contrast), detail(1, contrast)
    other -= first * (first @ other) / (first @ first)  # what is left has nothing in common
    second = correlation * first + (1 - correlation**2) ** 0.5 * other * contrast / other.std()
    pictures = np.stack([first, second]) + 128
    # rounding would add contrast: the values are spread over the levels around them
    pair = np.floor(pictures + np.random.default_rng(2).random(pictures.shape)) if contrast > 10 else np.rint(pictures)
    groups = near_groups(np.zeros(2, np.uint64), pair.clip(0, 255).astype(np.uint8), most_bits=0)
    assert bool(groups) == alike


def test_brightness_and_contrast_do_not_matter() -> None:
    picture = thumbnails(0, 1)[0]
    pair = np.stack([picture, (picture * 0.5 + 60).astype(np.uint8)])
    assert near_groups(np.array([5, 7], np.uint64), pair, most_bits=1) == [[(0, 1)]]
    assert near_groups(np.array([5, 7], np.uint64), pair, most_bits=0) == []


@pytest.mark.parametrize("count", [0, 1])
def test_few_images(count: int) -> None:
    assert near_groups(np.zeros(count, np.uint64), thumbnails(0, count), most_bits=4) == []


def test_many_different_images_do_not_take_the_square_of_the_time() -> None:
    # comparing all pairs of 60,000 would be 1.8e9 comparisons: some ten seconds in numpy
    prints = np.random.default_rng(0).integers(0, 2**64, 60_000, dtype=np.uint64)
    prints[-1] = prints[0] ^ np.uint64(1 << 40)
    start = time.process_time()
    pictures = thumbnails(0, 60_000)
    pictures[-1] = pictures[0]
    assert near_groups(prints, pictures, most_bits=4) == [[(0, 59_999)]]
    assert time.process_time() - start < 10


def test_a_still_camera_makes_one_group_quickly() -> None:
    pictures = np.repeat(thumbnails(0, 1), 20_000, axis=0)
    start = time.process_time()
    groups = near_groups(np.zeros(20_000, np.uint64), pictures, most_bits=4)
    assert [len(members(links)) for links in groups] == [20_000]
    assert time.process_time() - start < 10


def test_equal_groups() -> None:
    assert equal_groups(["a", "b", "a", None, None, "c", "b", "a"]) == [[0, 2, 7], [1, 6]]


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

    return leak_findings(images_in_splits(splits), facts, most_bits=most_bits, digests=digests)


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
    # what only trainval has may be in train, but must not be in test
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
        images_in_splits(splits), facts, most_bits=-1, digests=lambda paths: [path.encode() for path in paths]
    )
    assert unequal == []


def test_only_files_of_equal_reduced_pixels_are_decoded_in_full() -> None:
    asked: list[str] = []

    def digests(paths: Sequence[str]) -> list[bytes]:
        asked.extend(paths)
        return [b"same"] * len(paths)

    splits = [split_of(dict.fromkeys("abcde", CAT))]
    facts = facts_of(a=(b"x", 1), b=(b"x", 1), c=(b"y", 2), d=(b"z", 2), e=(b"z", 2))
    kinds = [item.kind for item in leak_findings(images_in_splits(splits), facts, most_bits=-1, digests=digests)]
    assert asked == ["/data/c.jpg", "/data/d.jpg"]
    assert kinds == ["duplicate_image", "duplicate_image"]


def test_conflicting_annotations() -> None:
    facts = facts_of(a=(b"x", 1), b=(b"x", 1))

    def difference(second: Objects) -> list[str]:
        items = found([split_of({"a": CAT, "b": second})], facts)
        return [item.message for item in items if item.kind == "conflicting_annotations"]

    names = "a.jpg (train), b.jpg (train)"
    assert difference([(0, (12, 12, 52, 52))]) == []  # up to 2 pixels are rounding
    assert difference([(0, (10, 10, 52.1, 50))]) == [f"the boxes of 'cat' differ: {names}"]
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
