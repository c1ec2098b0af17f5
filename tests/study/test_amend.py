"""Every opening of the test split is written down, whichever commands run at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from ferhpo.study.study import Study

Make = Callable[..., Study]


def test_an_opening_is_recorded_with_date_version_and_command(study: Make) -> None:
    opened = study(2)
    assert opened.record_opening("ferhpo ensemble --test", "0.1.0") == 1
    assert opened.record_opening("ferhpo train --test", "0.1.0") == 2
    assert [o["command"] for o in opened.openings] == ["ferhpo ensemble --test", "ferhpo train --test"]
    assert opened.openings[0]["version"] == "0.1.0"
    assert opened.openings[0]["date"].startswith("20")


def test_commands_that_open_the_test_split_at_once_lose_no_opening(study: Make) -> None:
    opened = study(2)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: opened.record_opening(f"command {i}", "0.1.0"), range(8)))
    assert sorted(o["command"] for o in opened.openings) == [f"command {i}" for i in range(8)]
