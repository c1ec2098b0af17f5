"""Seeds follow from the study's seed and a name, on every machine alike."""

from hypothesis import given
from hypothesis import strategies as st

from ferhpo._seeding import derive

NAMES = st.lists(st.text(alphabet="abc01", max_size=4) | st.integers(0, 20), max_size=4)


def test_a_seed_is_the_same_on_every_machine() -> None:
    assert derive(0, "trial", 7) == 8672060519972059634


@given(st.integers(), NAMES)
def test_a_seed_has_63_bits_and_repeats(seed: int, names: list[str | int]) -> None:
    assert 0 <= derive(seed, *names) < 2**63
    assert derive(seed, *names) == derive(seed, *names)


@given(st.integers(0, 3), NAMES, st.integers(0, 3), NAMES)
def test_two_uses_never_share_a_seed(a: int, some: list[str | int], b: int, others: list[str | int]) -> None:
    same = (a, *map(str, some)) == (b, *map(str, others))
    assert (derive(a, *some) == derive(b, *others)) == same
