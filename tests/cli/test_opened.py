"""What several commands open."""

import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from ferhpo.cli.opened import opened_test
from ferhpo.study.study import Study


def test_an_opening_of_the_test_split_is_recorded_and_told_before_the_rows_are_read(
    study: Callable[..., Study], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["ferhpo", "train", "--test"])
    made, recorded = study(1), []
    rows = object()

    def open_test() -> object:
        recorded.append([o["command"] for o in made.openings])
        return rows

    data: Any = SimpleNamespace(open_test=open_test)
    assert opened_test(made, data) == (rows, 1)
    assert opened_test(made, data) == (rows, 2)
    assert recorded == [["ferhpo train --test"], ["ferhpo train --test"] * 2]
    assert "the sealed test split of study 'toy' is opened (now 2 times)" in capsys.readouterr().err
