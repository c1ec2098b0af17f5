from ferhpo.study.repeats import told_apart


def test_values_are_told_apart_by_their_gap_seed_by_seed() -> None:
    noise = {1: 0.60, 2: 0.65, 3: 0.55, 4: 0.70}
    above = {seed: value + 0.02 + seed / 1000 for seed, value in noise.items()}
    assert told_apart(above, noise), "the seeds' own noise is common to both"
    mixed = {1: 0.66, 2: 0.60, 3: 0.62, 4: 0.69}
    assert not told_apart(mixed, noise)


def test_of_one_seed_and_of_equal_values_nothing_is_told_apart() -> None:
    assert not told_apart({1: 0.9}, {1: 0.1})
    assert not told_apart({1: 0.9, 2: 0.9}, {3: 0.1, 4: 0.1})
    assert not told_apart({1: 0.5, 2: 0.5}, {1: 0.5, 2: 0.5})
    assert told_apart({1: 0.6, 2: 0.6}, {1: 0.5, 2: 0.5})
