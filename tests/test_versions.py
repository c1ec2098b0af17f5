from importlib.metadata import PackageNotFoundError

import pytest

import ferhpo
from ferhpo import _versions


def test_versions_are_of_ferhpo_python_and_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "ray":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(_versions, "version", version)
    found = _versions.versions()
    assert found.keys() == {"ferhpo", "python", *_versions.PACKAGES} - {"ray"}
    assert (found["ferhpo"], found["torch"]) == (ferhpo.__version__, "1.0")
