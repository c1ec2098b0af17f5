"""A setting takes what its range allows, to the ends of it."""

import pytest

from ferhpo.errors import UsageError
from ferhpo.space.config import SETTINGS
from ferhpo.space.setting import Setting

NUMBERS = [s for s in SETTINGS.values() if s.kind in {int, float}]


@pytest.mark.parametrize("setting", [s for s in NUMBERS if s.low is not None], ids=lambda s: s.name)
def test_a_value_below_the_lowest_is_refused(setting: Setting) -> None:
    assert setting.low is not None
    with pytest.raises(UsageError, match=f"^{setting.name} must be at least {setting.low:g}"):
        setting.check(setting.kind(setting.low - 1))


@pytest.mark.parametrize("value", [10**400, -(10**5000)], ids=["400 digits", "-5000 digits"])
@pytest.mark.parametrize("setting", NUMBERS, ids=lambda s: s.name)
def test_a_whole_number_that_is_beyond_any_float_is_refused(setting: Setting, value: int) -> None:
    with pytest.raises(UsageError, match=f"^{setting.name} must lie within"):
        setting.check(value)


@pytest.mark.parametrize("setting", [s for s in NUMBERS if s.high is not None], ids=lambda s: s.name)
def test_a_value_above_the_highest_is_refused(setting: Setting) -> None:
    assert setting.high is not None
    with pytest.raises(UsageError, match=f"^{setting.name} must be at least .* and at most {setting.high:g}, got"):
        setting.check(setting.kind(setting.high + 1))
