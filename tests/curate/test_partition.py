import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.curate.annotated import annotated, centred
from yolo.arrays import Int64
from yolo.curate.partition import group_names, split_groups, split_randomly, split_stratified
from yolo.errors import ConfigError, DataError
from yolo.formats.objects import AnnotatedImages

SHARES = [(0.8, 0.2), (0.7, 0.2, 0.1), (0.5, 0.25, 0.25), (0.98, 0.01, 0.01)]


def with_classes(classes: list[list[int]]) -> AnnotatedImages:
    return annotated(*(centred([(10 + 9 * k, 10) for k in range(len(own))], own) for own in classes))


def classes_per_part(classes: list[list[int]], parts: Int64, num_parts: int, num_classes: int) -> Int64:
    """(P, C) how many images of a part have a class, counted one by one."""
    counts = np.zeros((num_parts, num_classes), np.int64)
    for own, part in zip(classes, parts, strict=True):
        for label in set(own):
            counts[part, label] += 1
    return counts


@given(st.integers(3, 200), st.sampled_from(SHARES), st.integers(0, 5))
def test_random_parts_have_the_sizes_of_their_shares(count: int, shares: tuple[float, ...], seed: int) -> None:
    parts = split_randomly([f"{k}.jpg" for k in range(count)], shares, seed=seed)
    sizes = np.bincount(parts, minlength=len(shares))
    assert sizes.sum() == count
    assert sizes.min() >= 1
    if count * min(shares) >= 1:
        assert (np.abs(sizes - count * np.array(shares)) < 1).all()


@settings(max_examples=25)
@given(st.permutations(range(30)), st.integers(0, 3))
def test_the_order_of_listing_means_nothing(order: list[int], seed: int) -> None:
    names = [f"{k}.jpg" for k in range(30)]
    classes = [[k % 3] * (k % 4) for k in range(30)]
    groups = [f"g{k // 4}" for k in range(30)]
    shares = (0.6, 0.4)

    def shuffled(parts: Int64) -> list[int]:
        return [int(parts[k]) for k in order]

    names_there = [names[k] for k in order]
    images, images_there = with_classes(classes), with_classes([classes[k] for k in order])
    assert split_randomly(names_there, shares, seed=seed).tolist() == shuffled(split_randomly(names, shares, seed=seed))
    there = split_stratified(names_there, images_there, shares, num_classes=3, seed=seed)
    assert there.tolist() == shuffled(split_stratified(names, images, shares, num_classes=3, seed=seed))
    groups_there = split_groups([groups[k] for k in order], shares, seed=seed)
    assert groups_there.tolist() == shuffled(split_groups(groups, shares, seed=seed))


def test_seeds_give_other_draws_and_the_same_seed_the_same() -> None:
    names = [f"{k}.jpg" for k in range(50)]
    images = with_classes([[k % 3] for k in range(50)])

    def draws(seed: int) -> tuple[list[int], list[int], list[int]]:
        return (
            split_randomly(names, (0.5, 0.5), seed=seed).tolist(),
            split_stratified(names, images, (0.5, 0.5), num_classes=3, seed=seed).tolist(),
            split_groups([f"{k // 2}" for k in range(50)], (0.5, 0.5), seed=seed).tolist(),
        )

    assert draws(1) == draws(1)
    assert all(one != two for one, two in zip(draws(1), draws(2), strict=True))


def test_a_class_on_ten_images_is_divided_eight_to_two() -> None:
    # 10 images of a rare class among 100: a random draw would often miss it in the smaller part
    classes = [[0, 1] if k < 10 else [0] for k in range(100)]
    for seed in range(5):
        parts = split_stratified(
            [f"{k}" for k in range(100)], with_classes(classes), (0.8, 0.2), num_classes=2, seed=seed
        )
        assert classes_per_part(classes, parts, 2, 2).tolist() == [[80, 8], [20, 2]]


@settings(max_examples=25)
@given(st.integers(0, 1000), st.sampled_from(SHARES[:3]))
def test_no_class_is_far_from_its_shares(seed: int, shares: tuple[float, ...]) -> None:
    generator = np.random.default_rng(seed)
    chances = np.array([0.6, 0.3, 0.1, 0.03])
    classes = [np.flatnonzero(generator.random(4) < chances).tolist() for _ in range(300)]
    parts = split_stratified([f"{k}" for k in range(300)], with_classes(classes), shares, num_classes=4, seed=seed)
    counts = classes_per_part(classes, parts, len(shares), 4)
    wanted = np.array(shares)[:, None] * counts.sum(axis=0)
    # the rarest class exactly, the others by a few images
    rarest = counts.sum(axis=0).argmin()
    assert (np.abs(counts - wanted)[:, rarest] < 1.01).all()
    assert (np.abs(counts - wanted) <= 6).all()
    assert (np.abs(np.bincount(parts, minlength=len(shares)) - 300 * np.array(shares)) <= 6).all()


def test_a_class_on_two_images_is_in_both_halves_and_backgrounds_fill_up() -> None:
    classes: list[list[int]] = [[0], [0], [], [], [], []]
    parts = split_stratified(list("abcdef"), with_classes(classes), (0.5, 0.5), num_classes=1, seed=0)
    assert classes_per_part(classes, parts, 2, 1).tolist() == [[1], [1]]
    assert np.bincount(parts).tolist() == [3, 3]


@pytest.mark.parametrize("classes", [[[0], [0], [0]], [[], [], []], [[0], [0, 1], []]])
def test_no_part_of_a_tiny_dataset_is_empty(classes: list[list[int]]) -> None:
    parts = split_stratified(list("abc"), with_classes(classes), (0.98, 0.01, 0.01), num_classes=2, seed=0)
    assert sorted(parts.tolist()) == [0, 1, 2]


@given(st.lists(st.integers(1, 40), min_size=3, max_size=12), st.sampled_from(SHARES), st.integers(0, 3))
def test_groups_stay_whole_and_no_part_is_empty(sizes: list[int], shares: tuple[float, ...], seed: int) -> None:
    groups = [f"g{number}" for number, size in enumerate(sizes) for _ in range(size)]
    parts = split_groups(groups, shares, seed=seed)
    assert len({(group, part) for group, part in zip(groups, parts.tolist(), strict=True)}) == len(sizes)
    assert set(parts.tolist()) == set(range(len(shares)))
    # a part is never larger than its share by more than the largest group
    too_many = np.bincount(parts, minlength=len(shares)) - np.array(shares) * len(groups)
    assert too_many.max() <= max(sizes)


def test_groups_fill_the_shares_where_they_can() -> None:
    # 60 + 20 and 20 of 100
    groups = ["a"] * 20 + ["b"] * 60 + ["c"] * 20
    assert np.bincount(split_groups(groups, (0.8, 0.2), seed=0)).tolist() == [80, 20]


def test_what_makes_a_group() -> None:
    paths = ["a/cam1_000001.jpg", "b/cam1_2.jpg", "b/cam2 (3).png", "c/walk-12-0001.jpg", "000123.jpg", "plain.jpg"]
    assert group_names(paths, "prefix") == ["cam1", "cam1", "cam2", "walk-12", "", "plain"]
    assert group_names(paths, "folder") == ["a", "b", "b", "c", ".", "."]
    assert group_names(paths[:3], "regex", pattern=r"cam\d") == ["cam1", "cam1", "cam2"]
    assert group_names(paths[:3], "regex", pattern=r"/(cam)\d") == ["cam", "cam", "cam"]


def test_bad_patterns_are_named() -> None:
    with pytest.raises(ConfigError, match=r"--pattern '\(' is not a regular expression"):
        group_names(["a.jpg"], "regex", pattern="(")
    with pytest.raises(DataError, match=r"finds no group in 1 of 2 images, the first is 'b.jpg'"):
        group_names(["a.jpg", "b.jpg"], "regex", pattern="a")
    with pytest.raises(DataError, match="finds no group in 1 of 1"):
        group_names(["a.jpg"], "regex", pattern="(b)?a")


def test_too_few_of_anything_is_an_error() -> None:
    with pytest.raises(DataError, match="1 images cannot be divided into 2 parts"):
        split_randomly(["a"], (0.5, 0.5), seed=0)
    with pytest.raises(DataError, match="1 images cannot be divided into 2 parts"):
        split_stratified(["a"], with_classes([[0]]), (0.5, 0.5), num_classes=1, seed=0)
    with pytest.raises(DataError, match="1 groups cannot be divided into 2 parts"):
        split_groups(["a", "a"], (0.5, 0.5), seed=0)


def test_ten_thousand_images_of_eighty_classes_do_not_take_long() -> None:
    generator = np.random.default_rng(0)
    images = with_classes(generator.integers(0, 80, (10_000, 4)).tolist())
    start = time.perf_counter()
    split_stratified([f"{k}" for k in range(10_000)], images, (0.8, 0.2), num_classes=80, seed=0)
    assert time.perf_counter() - start < 8
