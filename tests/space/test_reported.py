"""What was reported of a system is read strictly from its study file, and contradictions are kept."""

import pytest

from ferhpo.errors import SpecError
from ferhpo.space.reported import Reported
from ferhpo.space.spec import parse_spec


def test_one_figure_or_several_that_contradict_each_other() -> None:
    text = '[reported]\ndata = "affectnet"\nval_accuracy = [0.8862, 0.461]\nval_loss = 2\n'
    found = parse_spec(text, name="x").reported
    assert found == Reported(data="affectnet", val_accuracy=(0.8862, 0.461), val_loss=(2.0,))
    assert found.figures() == {"val_accuracy": (0.8862, 0.461), "val_loss": (2.0,)}


def test_nothing_reported_is_no_figure() -> None:
    assert parse_spec("", name="x").reported.figures() == {}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("test_acc = 0.4", "x.toml:2: unknown key 'test_acc' in [reported]; did you mean 'test_accuracy'"),
        ("test_accuracy = 43", "x.toml:2: test_accuracy takes a share from 0 to 1, or a list of such, got 43"),
        ("test_loss = -1", "x.toml:2: test_loss takes a number of 0 or more"),
        ("test_loss = ['1']", "x.toml:2: test_loss takes a number"),
        ("test_loss = true", "x.toml:2: test_loss takes a number"),
        ("data = 3", "x.toml:2: data of [reported] takes the name of a format, got 3"),
    ],
)
def test_what_is_no_figure_is_refused_with_its_line(line: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        parse_spec(f"[reported]\n{line}\n", name="x", path="x.toml")
    assert message in str(caught.value)
