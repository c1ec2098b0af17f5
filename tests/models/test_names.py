from importlib import import_module

import pytest

from ferhpo.models.names import OWN


@pytest.mark.parametrize("name", OWN)
def test_a_family_builds_what_is_listed_under_its_name(name: str) -> None:
    assert callable(getattr(import_module(f"ferhpo.models.{OWN[name].family}"), name))
    assert OWN[name].name == name
    assert ":" not in name
    assert OWN[name].doc
