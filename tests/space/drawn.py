"""Settings and configurations drawn by Hypothesis."""

from typing import Any

from hypothesis import strategies as st

from ferhpo.space.config import SETTINGS, TrialConfig
from ferhpo.space.setting import Setting


def allowed(setting: Setting) -> st.SearchStrategy[Any]:
    """Return every value that a setting accepts."""
    if setting.choices:
        values: st.SearchStrategy[Any] = st.sampled_from(setting.choices)
    elif setting.kind is bool:
        values = st.booleans()
    elif setting.kind is int:
        assert setting.low is not None
        values = st.integers(int(setting.low), None if setting.high is None else int(setting.high))
    elif setting.kind is float:
        values = st.floats(setting.low, setting.high, allow_nan=False, allow_infinity=False)
    else:
        values = st.text()
    return st.none() | values if setting.optional else values


CONFIGS = st.fixed_dictionaries({}, optional={name: allowed(s) for name, s in SETTINGS.items()}).map(
    TrialConfig.from_params
)
