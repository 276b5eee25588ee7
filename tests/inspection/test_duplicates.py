import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.reference.slow_duplicates import slow_close_pairs, slow_near_groups
from yolo.inspection.duplicates import close_pairs, equal_groups, near_groups


def thumbnails(seed: int, count: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, 256)).astype(np.uint8)


def found_pairs(fingerprints: list[int], most_bits: int) -> set[tuple[int, int]]:
    pairs = close_pairs(np.array(fingerprints, np.uint64), most_bits)
    return {pair for first, second in pairs for pair in zip(first.tolist(), second.tolist(), strict=True)}


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
    assert [group.members for group in found] == expected
    assert 8 <= len(expected) <= 20
    for group in found:  # the links connect all members, and are no more than that takes
        assert len(group.links) == len(group.members) - 1
        assert {place for link in group.links for place in link} == set(group.members)


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


def test_brightness_and_contrast_do_not_matter() -> None:
    picture = thumbnails(0, 1)[0]
    pair = np.stack([picture, (picture * 0.5 + 60).astype(np.uint8)])
    assert [group.members for group in near_groups(np.array([5, 7], np.uint64), pair, most_bits=1)] == [(0, 1)]
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
    assert [group.members for group in near_groups(prints, pictures, most_bits=4)] == [(0, 59_999)]
    assert time.process_time() - start < 10


def test_a_still_camera_makes_one_group_quickly() -> None:
    pictures = np.repeat(thumbnails(0, 1), 20_000, axis=0)
    start = time.process_time()
    groups = near_groups(np.zeros(20_000, np.uint64), pictures, most_bits=4)
    assert [len(group.members) for group in groups] == [20_000]
    assert time.process_time() - start < 10


def test_equal_groups() -> None:
    groups = equal_groups(["a", "b", "a", None, None, "c", "b", "a"])
    assert [(group.members, group.links) for group in groups] == [
        ((0, 2, 7), ((0, 2), (0, 7))),
        ((1, 6), ((1, 6),)),
    ]
