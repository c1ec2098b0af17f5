"""What a section of a study file may hold, whoever makes it."""

import pytest

from ferhpo.errors import UsageError
from ferhpo.space.sections import FORMATS, SAMPLERS, SCHEDULERS, DataSpec, SamplerSpec, SchedulerSpec, seconds


@pytest.mark.parametrize(
    ("made", "key", "names"),
    [(DataSpec, "format", FORMATS), (SamplerSpec, "name", SAMPLERS), (SchedulerSpec, "name", SCHEDULERS)],
)
def test_every_known_name_is_taken_and_no_other(made: type, key: str, names: tuple[str, ...]) -> None:
    for name in names:
        assert getattr(made(**{key: name}), key) == name
    with pytest.raises(UsageError, match=f"{key} must be a known one, got 'randon'"):
        made(**{key: "randon"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [("90", 90), ("90s", 90), ("30m", 1800), ("1.5h", 5400), ("2 h", 7200), ("1d", 86400), (" 5m ", 300), ("0.5", 0.5)],
)
def test_a_duration_is_read_as_seconds(text: str, expected: float) -> None:
    assert seconds(text) == expected


@pytest.mark.parametrize("text", ["", "0", "0s", "-5m", "1h30m", "5 minutes", "inf", "nan", "1e3", "h"])
def test_a_duration_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=rf"a duration is a number above 0 .* got '{text}'"):
        seconds(text)
