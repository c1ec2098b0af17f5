"""Paths of weights are absolute wherever a study, a try or --set names them."""

from pathlib import Path

import pytest

from ferhpo.space.files import placed
from ferhpo.space.spec import parse_spec, read_spec
from ferhpo.space.tries import read_tries

STUDY = """\
[space]
pretrained = true
weights = { choices = ["a.safetensors", "../b.safetensors", "/c.safetensors", ""], default = "a.safetensors" }
lr = { low = 0.1, high = 0.2, default = 0.1, when = { weights = ["a.safetensors"] } }
[[try]]
weights = "../b.safetensors"
"""


def test_paths_are_seen_from_the_study_file_or_the_file_of_tries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "studies"
    folder.mkdir()
    (folder / "x.toml").write_text(STUDY)
    (tmp_path / "more.toml").write_text('[[try]]\nweights = "studies/a.safetensors"\n')
    monkeypatch.chdir(tmp_path)
    spec = read_spec(Path("studies/x.toml"))
    a, b = str(folder / "a.safetensors"), str(tmp_path / "b.safetensors")
    lr, weights = sorted(spec.space.dimensions, key=lambda d: d.name)
    assert (weights.choices, weights.default) == ((a, b, "/c.safetensors", ""), a)
    assert lr.when == {"weights": (a,)}
    assert spec.space.default_config().weights == a
    assert spec.tries[0].params == {"weights": b}
    assert read_tries(Path("more.toml"), spec.space)[0].params["weights"] == a


def test_one_fixed_path_is_seen_from_the_study_file_and_a_text_without_a_folder_is_left(tmp_path: Path) -> None:
    text = '[space]\nweights = "a.safetensors"\n'
    assert parse_spec(text, name="x", path=tmp_path / "x.toml").space.fixed["weights"] == str(
        tmp_path / "a.safetensors"
    )
    assert parse_spec(text, name="x", base=tmp_path).space.fixed["weights"] == str(tmp_path / "a.safetensors")
    assert parse_spec(text, name="x").space.fixed["weights"] == "a.safetensors"


@pytest.mark.parametrize("weights", ["", "/a.safetensors", "~/a.safetensors", "/b/../a.safetensors"])
def test_no_path_and_one_that_is_absolute_stay_as_they_are(weights: str, tmp_path: Path) -> None:
    assert placed(weights, tmp_path) == weights
