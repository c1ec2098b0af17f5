"""Two studies are made of a system: as described to the letter, and a search that begins where its file says."""

import pytest

from ferhpo.compare.systems import PASSES, ROUNDS, SYSTEMS, Plan, plan, reproduced, resized, searched, start
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import StudySpec, parse_spec
from ferhpo.study.find import find_spec, packaged
from ferhpo.training import width as widths
from tests.compare.conftest import SYSTEM
from tests.training.conftest import made_up

PLAN = Plan(trials=4, seconds=30.0, width=None)


def known(name: str) -> StudySpec:
    return find_spec(f"starting_points/{name}", packaged())


def test_every_starting_point_is_compared() -> None:
    assert set(SYSTEMS) <= {p.stem for p in (packaged() / "starting_points").glob("*.toml")}


@pytest.mark.parametrize("name", SYSTEMS)
def test_as_described_every_setting_is_the_studys_default_in_one_trial_of_the_time(name: str) -> None:
    spec = known(name)
    made = reproduced(spec, 4)
    assert made.space.dimensions == ()
    assert made.space.default_config() == spec.space.default_config()
    assert (made.budget.trials, made.budget.trial_seconds) == (1, 240)
    assert made.name == f"{spec.name}-reproduced"
    params, usual = made.space.default_config().params(), TrialConfig().params()
    assert all(params[name] != usual[name] for name in made.space.idle), "nobody wrote the defaults down"


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_search_begins_at_the_files_first_try_and_offers_what_the_file_offers(name: str) -> None:
    spec = known(name)
    made = searched(spec, 4, PLAN, changes={"image_size": 48})
    assert made.space.default_config().params() == start(spec, {"image_size": 48}).params()
    assert {d.name for d in made.space.dimensions} == {d.name for d in spec.space.dimensions}
    assert (made.budget.trials, made.budget.trial_seconds) == (4, 30)
    assert len(made.tries) == len(spec.tries) - 1


@pytest.mark.parametrize("name", SYSTEMS)
def test_without_pretrained_weights_nothing_is_pretrained_and_every_try_stays_a_point(name: str) -> None:
    spec = known(name)
    changes = {"image_size": 48, "pretrained": False}
    made = searched(spec, 4, PLAN, changes=changes)
    assert not made.space.default_config().pretrained
    assert all("pretrained" not in one.given for one in made.tries)
    assert not reproduced(spec, 4, changes=changes).space.default_config().pretrained


def test_widths_that_do_not_fit_the_time_are_left_out() -> None:
    spec = parse_spec(SYSTEM, name="tiny")
    narrow = Plan(trials=2, seconds=30.0, width=4)
    dimension = next(d for d in searched(spec, 1, narrow).space.dimensions if d.name == "width")
    assert (dimension.choices, dimension.default) == ((4,), 4)
    ranged = parse_spec(SYSTEM.replace("choices = [4, 8]", "low = 4, high = 32"), name="tiny")
    dimension = next(d for d in searched(ranged, 1, narrow).space.dimensions if d.name == "width")
    assert dimension.choices == (4,)


@pytest.mark.parametrize(("rate", "trials"), [(1.0, 2), (1e9, 2 * ROUNDS)])
def test_a_trial_is_shortened_only_while_it_sees_the_images_often_enough(
    rate: float, trials: int, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    monkeypatch.setattr(widths, "_rate", lambda *_: rate)
    data = made_up(tmp_path, size=24)
    found = plan(parse_spec(SYSTEM, name="tiny"), data, 1, changes={}, device="cpu", at_a_time=2)
    assert found.trials == trials
    assert found.seconds * found.trials / 2 == pytest.approx(60)
    assert found.width == (4 if rate == 1.0 else 8)
    assert PASSES > 1


def test_images_are_kept_no_larger_than_nets_see_them() -> None:
    assert resized(DataSpec(size=64), 48).size == 48
    assert resized(DataSpec(size=48), 224).size == 48
    assert resized(DataSpec(size=48), None).size == 48
