"""A comparison trains each system twice, keeps its scale, and a second run trains nothing."""

import shutil
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from ferhpo.compare import run as runs
from ferhpo.compare.run import Place, Scale, compare, keep_scale
from ferhpo.compare.systems import Plan
from ferhpo.data.cache import open_prepared
from ferhpo.errors import DataError, UsageError
from ferhpo.search.budget import Limits
from ferhpo.search.runner import Outcome
from ferhpo.space.spec import parse_spec
from ferhpo.study.study import Study
from tests.compare.conftest import SYSTEM

SPEC = parse_spec(SYSTEM, name="tiny")
SCALE = Scale(minutes=0.02, image_size=12)


@contextmanager
def quiet(_log: Path):
    yield lambda _event: None


def place(root: Path, **changes) -> Place:
    return Place(**{"out": root, "data": None, "weights": (), "device": "cpu", "command": "ferhpo compare"} | changes)


@pytest.fixture(autouse=True)
def planned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.systems, "plan", lambda *_, **__: Plan(trials=2, seconds=0.6, width=None))


def test_each_system_is_trained_as_described_and_searched_and_its_test_split_opened_once_each(
    root: Path, searches: list[str]
) -> None:
    told: list[str] = []
    (found,), interrupted = compare([SPEC], SCALE, place(root), watch=quiet, tell=told.append)
    assert not interrupted
    assert found.errors == {}
    assert searches == ["tiny-reproduced 0", "tiny-searched 0", "tiny-searched 1"]
    assert found.notes == ["reported on fer2013, run on synthetic: the figures cannot be set against each other"]
    assert told == [f"tiny: {found.notes[0]}"]
    (config,) = found.found["reproduced"]["single"]["configs"]
    assert (config["lr"], config["width"], config["grow"], config["image_size"]) == (1e-5, 4, 1.0, 12)
    assert "ensemble" not in found.found["reproduced"]
    assert found.found["searched"]["ensemble"]["test"]["accuracy"] > 0
    assert [t.params["lr"] for t in Study.open(root, "tiny-searched").trials()] == [0.01, 0.003]
    for kind in runs.KINDS:
        assert [o["command"] for o in Study.open(root, f"tiny-{kind}").openings] == ["ferhpo compare"]
    again, _ = compare([SPEC], SCALE, place(root), watch=quiet, tell=told.append)
    assert again[0].found == found.found
    assert len(searches) == 3, "what is done is skipped"
    study = Study.open(root, "tiny-searched")
    assert len(study.openings) == 1, "and nothing is opened again"
    data = open_prepared(Path(study.data["cache"]))
    runs.search(study.spec, data, root, emit=lambda _: None, limits=Limits(trials=3))
    compare([SPEC], SCALE, place(root), watch=quiet, tell=told.append)
    assert len(study.openings) == 2, "a search that went on is judged anew, and that is written down"


def test_a_system_that_fails_leaves_the_others_their_rows(root: Path, searches: list[str]) -> None:
    broken = parse_spec(SYSTEM.replace('precision = "fp32"', "distill = 0.5"), name="broken")
    found, _ = compare([broken, SPEC], SCALE, place(root), watch=quiet, tell=lambda _: None)
    assert found[0].errors.keys() == {"reproduced", "searched"}
    assert "needs a trial that works, and none did: " in found[0].errors["reproduced"]
    assert "teacher" in found[0].errors["reproduced"]
    assert found[1].errors == {}
    assert sum(name.startswith("broken") for name in searches) == 3
    compare([broken, SPEC], SCALE, place(root), watch=quiet, tell=lambda _: None)
    assert sum(name.startswith("broken") for name in searches) == 6, "what failed is tried again"
    assert sum(name.startswith("tiny") for name in searches) == 3


def test_nets_that_break_a_constraint_are_told_as_such_and_trained_once(root: Path, searches: list[str]) -> None:
    small = parse_spec(f'constraints = ["accuracy >= 0.9999"]\n{SYSTEM}', name="small")
    for _ in range(2):
        ((system,), _) = compare([small], SCALE, place(root), watch=quiet, tell=lambda _: None)
        assert "none did: accuracy >= 0.9999, got " in system.errors["reproduced"]
    assert len(Study.open(root, "small-reproduced").trials()) == 1
    assert len(searches) < 6


def test_an_interrupted_comparison_says_so_and_opens_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def search(*_: object, **__: object) -> Outcome:
        return Outcome(study=None, done=0, trials=4, interrupted=True, gave_up=False, spent=False, new=0)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(runs, "search", search)
    found, interrupted = compare([SPEC], SCALE, place(root), watch=lambda _: nullcontext(lambda _: None), tell=print)
    assert interrupted
    assert found[0].found == {}


def test_other_images_are_refused_before_anything_runs(root: Path, searches: list[str], tmp_path: Path) -> None:
    compare([SPEC], SCALE, place(root), watch=quiet, tell=lambda _: None)
    other = replace(SPEC, data=replace(SPEC.data, rows=200))
    with pytest.raises(
        DataError, match=r"a comparison keeps its data, .* was begun with rendered faces; give that data"
    ):
        compare([other], SCALE, place(root), watch=quiet, tell=lambda _: None)
    assert len(searches) == 3


def test_a_folder_has_one_scale(root: Path) -> None:
    keep_scale(root, SCALE)
    keep_scale(root, SCALE)
    begun = "--minutes-each 0.02 and --image-size 12"
    got = "--minutes-each 4 and each study's own size"
    with pytest.raises(UsageError, match=f"keeps its scale, .* was begun with {begun}, got {got}; name another --out"):
        keep_scale(root, Scale(minutes=4))


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"minutes": "x", "image_size": 12}', '{"minutes": 0.02, "pixels": 12}']
)
def test_a_scale_that_cannot_be_read_is_another_one(root: Path, content: str) -> None:
    root.mkdir()
    (root / runs.SCALE).write_text(content)
    with pytest.raises(UsageError, match="was begun with one that cannot be read, got --minutes-each"):
        keep_scale(root, SCALE)


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "--weights must be a file, and there is none at .*a.safetensors"), (b"typo", "which fits none of them")],
)
def test_a_refused_comparison_keeps_no_scale(root: Path, tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "a.safetensors"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError, match=said):
        compare([SPEC], SCALE, place(root, weights=(file,)), watch=quiet, tell=print)
    assert not (root / runs.SCALE).exists()


def test_what_was_judged_stays_where_the_trials_files_are_deleted(
    root: Path, searches: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (found,), _ = compare([SPEC], SCALE, place(root), watch=quiet, tell=print)
    monkeypatch.setattr(Study, "candidates", lambda *_: [])
    (again,), _ = compare([SPEC], SCALE, place(root), watch=quiet, tell=print)
    assert again.found == found.found
    shutil.rmtree(root / "tiny-searched" / "compare")
    (again,), _ = compare([SPEC], SCALE, place(root), watch=quiet, tell=print)
    assert "figures are of trials whose files are kept, and study 'tiny-searched' has none" in again.errors["searched"]
    assert again.found.keys() == {"reproduced"}


@pytest.mark.parametrize(("minutes", "size"), [(0, 48), (float("nan"), 48), (1, 4)])
def test_a_scale_that_makes_no_sense_is_misuse(minutes: float, size: int) -> None:
    with pytest.raises(UsageError, match=r"--minutes-each must be|--image-size: image_size must be"):
        Scale(minutes=minutes, image_size=size)


def test_trials_of_a_search_share_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "_cpus", lambda: 8)
    assert (runs._workers("searched", "cpu").cpus, runs._workers("searched", "cpu").concurrency) == (4, 2)
    assert runs._workers("reproduced", "cpu").cpus == 8
    assert runs._workers("searched", "cuda").gpus == 1
