"""`ferhpo models`: ours at once, the libraries' on request."""

import pytest

from ferhpo.models.names import OWN
from tests.cli.conftest import Run


def test_ours_are_listed_with_their_size(run: Run) -> None:
    ran = run("models")
    assert ran.code == 0
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == list(OWN)
    assert str(OWN["resnet9s"].parameters) in ran.out
    assert "timm:NAME" in ran.err


def test_ours_as_json(run: Run) -> None:
    found = run("models", "--format", "json").json
    assert [row["name"] for row in found] == list(OWN)
    assert found[0].keys() == {"name", "family", "parameters", "doc"}


def test_a_pattern_that_fits_nothing_is_refused_with_the_nearest(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ferhpo.models.external.names", lambda _: [])
    line = run("models", "resnet9t").failed(2)
    assert "a pattern must fit the name of an architecture, got 'resnet9t'; did you mean 'resnet9'?" in line
    assert "got 'timm:NOSUCH'; known: " in run("models", "timm:NOSUCH").failed(2)


@pytest.mark.slow  # timm takes ten seconds to import
def test_a_pattern_lists_a_librarys(run: Run) -> None:
    ran = run("models", "timm:mobilenetv3_small*")
    assert "timm:mobilenetv3_small_100" in ran.out
