"""With several objectives a trial is judged against those it competes with."""

import pytest

from ferhpo.search.scheduler import scheduler
from ferhpo.search.schedulers.rivals import Rivals
from ferhpo.space.sections import SCHEDULERS, SchedulerSpec


def test_rivals_are_those_that_are_at_least_as_good_in_everything_else() -> None:
    rivals = Rivals()
    for number, point in enumerate([(-10.0, 1.0), (-10.0, 2.0), (-20.0, 2.0), (-5.0, 0.0)]):
        rivals.note(number, 1, point)
    assert list(rivals.of(0, 1, range(4))) == [0, 1]
    assert list(rivals.of(2, 1, range(4))) == [1, 2]
    assert list(rivals.of(0, 2, range(4))) == [0, 1, 2, 3], "nothing is known at that epoch"


@pytest.mark.parametrize("name", [name for name in SCHEDULERS if name not in {"none", "hyperband"}])
def test_the_cheapest_trial_is_never_stopped_and_dear_ones_are_as_before(name: str) -> None:
    rivals = Rivals()
    rule = scheduler(SchedulerSpec(name=name, grace=1, reduction=3), 9, maximize=True, rivals=rivals)
    stopped = 0
    for number in range(30):  # each one dearer than the one before and no better
        rivals.note(number, 1, (-float(number),))
        stopped += not rule.goes_on(number, 1, 0.5 - number / 100)
    rivals.note(30, 1, (1.0,))
    assert rule.goes_on(30, 1, 0.0) or rule.promote({30: 1}, running=0, last=True) == 30
    assert stopped >= 20
