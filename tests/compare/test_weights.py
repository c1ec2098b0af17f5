"""Pretrained weights come from a file that fits, else the hub, else the row starts from random ones and says so."""

from pathlib import Path

import pytest

from ferhpo.compare import weights
from ferhpo.compare.weights import check_used, find, kept
from ferhpo.errors import ModelError, UsageError
from ferhpo.space.config import TrialConfig
from ferhpo.space.spec import parse_spec

NET = """
[space]
arch = {{ choices = ["timm:resnet50", "timm:resnet18"], default = "timm:resnet50" }}
pretrained = {pretrained}
"""


@pytest.fixture(autouse=True)
def hub(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Stand in for building a net; return the places whose weights it fits: files, or the hub."""
    places: set[str] = set()

    def build(config: TrialConfig, **_: object) -> None:
        place = Path(config.weights).name or "hub"
        if config.pretrained and place not in places:
            msg = f"no weights from {place}"
            raise ModelError(msg)

    monkeypatch.setattr(weights.registry, "build", build)
    monkeypatch.setattr(weights.external, "stop_asking", lambda: places.add("not asked again"))
    return places


def found(text: str, *files: str) -> weights.Weights:
    return find(parse_spec(text, name="x"), [Path(file) for file in files], classes=7, channels=1)


def test_the_hub_has_them(hub: set[str]) -> None:
    hub.add("hub")
    assert found(NET.format(pretrained="true")) == weights.Weights(changes={})


def test_a_file_goes_before_the_hub_and_keeps_the_net_that_it_fits(hub: set[str]) -> None:
    hub |= {"hub", "b.safetensors"}
    got = found(NET.format(pretrained="true"), "a.safetensors", "b.safetensors")
    assert got.changes == {"weights": str(Path("b.safetensors").resolve()), "arch": "timm:resnet50"}
    assert got.used == {Path("b.safetensors")}


def test_without_either_the_net_starts_from_random_weights_and_the_reason_is_told(hub: set[str]) -> None:
    got = found(NET.format(pretrained="true"))
    assert got.changes == {"pretrained": False}
    assert (got.note, got.reason) == ("random weights, not pretrained ones", "no weights from hub")
    assert hub == {"not asked again"}


@pytest.mark.parametrize("text", [NET.format(pretrained="false"), "[space]\narch = 'vgg8'\npretrained = true", ""])
def test_a_system_that_asks_for_none_is_left_as_it_is(text: str) -> None:
    assert found(text) == weights.Weights(changes={})


def test_a_net_that_may_be_searched_pretrained_asks_too() -> None:
    text = '[space]\narch = { choices = ["vgg8", "timm:resnet18"], default = "vgg8" }\n'
    text += "pretrained = { choices = [true, false], default = true }\n"
    assert found(text).changes == {"pretrained": False}


@pytest.mark.parametrize(
    ("fixed", "changes"),
    [
        ("pretrained = false", {"pretrained": False}),
        ("pretrained = true", {}),
        ('pretrained = true\nweights = "/w.safetensors"', {"weights": "/w.safetensors", "arch": "timm:resnet50"}),
    ],
)
def test_what_was_found_once_holds_for_the_whole_system(fixed: str, changes: dict[str, object]) -> None:
    spec = parse_spec(NET.format(pretrained="true"), name="x")
    begun = parse_spec(f'[space]\narch = "timm:resnet50"\n{fixed}\n', name="x-reproduced")
    again = kept(spec, begun, [Path("a"), Path("/w.safetensors")])
    assert (again.changes, again.used) == (changes, {Path("/w.safetensors")} if "weights" in changes else set())
    assert (again.note != "") == ("false" in fixed)


def test_a_file_that_fits_nothing_is_misuse() -> None:
    a, b = Path("a.safetensors"), Path("b.safetensors")
    check_used([a], frozenset({a, b}))
    with pytest.raises(
        UsageError, match=r"--weights must fit the net of a system .*, got a.safetensors, which fits none"
    ):
        check_used([a, b], frozenset({b}))
