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


@pytest.mark.slow  # timm takes ten seconds to import
def test_a_pattern_lists_a_librarys(run: Run) -> None:
    ran = run("models", "timm:mobilenetv3_small*")
    assert "timm:mobilenetv3_small_100" in ran.out
