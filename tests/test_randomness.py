import numpy as np

from yolo.randomness import epoch_order, partner_generator, sample_generator


def draws(seed: int, epoch: int, index: int) -> tuple[int, ...]:
    return tuple(sample_generator(seed, epoch, index).integers(2**32, size=4).tolist())


def test_equal_keys_give_equal_draws_and_others_differ() -> None:
    keys = [(seed, epoch, index) for seed in range(3) for epoch in range(3) for index in range(3)]
    assert draws(1, 2, 3) == draws(1, 2, 3)
    assert len({draws(*key) for key in keys}) == len(keys)


def test_an_epoch_visits_every_image_once_in_its_own_order() -> None:
    first, second = epoch_order(0, 0, 50), epoch_order(0, 1, 50)
    assert sorted(first.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()
    assert epoch_order(0, 1, 50).tolist() == second.tolist()


def test_with_replacement_every_place_is_drawn_by_itself() -> None:
    order = epoch_order(0, 0, 50, draws=5000)
    assert order.dtype == "int64"
    counts = [int((order == index).sum()) for index in range(50)]
    assert sum(counts) == 5000  # no other index
    assert 50 < min(counts) < 100 < max(counts) < 150  # 100 is the mean, 10 the deviation
    assert epoch_order(0, 0, 50, draws=5000).tolist() == order.tolist()
    assert epoch_order(0, 1, 50, draws=5000).tolist() != order.tolist()


def test_a_repeat_has_draws_of_its_own() -> None:
    def repeated(repeat: int) -> tuple[int, ...]:
        return tuple(sample_generator(1, 2, 3, repeat=repeat).integers(2**32, size=4).tolist())

    assert repeated(0) == draws(1, 2, 3)
    assert len({repeated(repeat) for repeat in range(50)} | {draws(1, 2, index) for index in range(50)}) == 99


def test_samples_partners_and_orders_of_equal_keys_have_nothing_in_common() -> None:
    generators = [sample_generator(1, 2, 3), partner_generator(1, 2, 3), np.random.default_rng((1, 2, 3))]
    assert len({int(generator.integers(2**32)) for generator in generators}) == 3
    order = epoch_order(1, 2, 50).tolist()
    assert order not in (
        sample_generator(1, 2, 0).permutation(50).tolist(),
        partner_generator(1, 2, 0).permutation(50).tolist(),
    )
    assert partner_generator(1, 2, 3).integers(2**32) == partner_generator(1, 2, 3).integers(2**32)
