import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo._layout import CARD, PROBABILITIES, WEIGHTS
from ferhpo.ensemble import members
from ferhpo.errors import CheckpointError, StudyError, UsageError


@pytest.fixture
def study(fake: Any, made: Any) -> Any:
    return fake(*made(3, 40))


def test_the_best_trials_are_read_in_order(study: Any, made: Any) -> None:
    got = members.load(study, 2)
    assert got.numbers == (1, 4)
    assert got.probs_mnc.dtype == np.float64
    assert np.allclose(got.probs_mnc, made(3, 40)[0][:2], atol=1e-6)
    assert np.allclose(got.probs_mnc.sum(2), 1, atol=1e-15)
    assert got.classes[0] == "class0"


def test_some_can_be_kept(study: Any) -> None:
    got = members.load(study, 3).only(np.array([0, 2]))
    assert got.numbers == (1, 7)
    assert len(got.probs_mnc) == len(got.cards) == len(got.folders) == 2


@pytest.mark.parametrize("top", [1, 0, -3])
def test_top_below_two_is_misuse(study: Any, top: int) -> None:
    with pytest.raises(UsageError, match=f"--top must be at least 2, got {top}"):
        members.load(study, top)


def test_too_few_candidates_are_counted(study: Any) -> None:
    with pytest.raises(StudyError, match="study 'made' has 3; use --top 3 or less"):
        members.load(study, 4)


def test_a_study_without_candidates_says_what_to_do(study: Any) -> None:
    del study.trials[1:]
    with pytest.raises(StudyError, match="has 1; run `ferhpo search` first"):
        members.load(study, 2)


def refuse(study: Any, *words: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        members.load(study, 3)
    for word in ("trial 4", "delete", *words):
        assert word in str(caught.value)


def replace_probabilities(folder: Path, rewrite_card: Any, probs: np.ndarray) -> None:
    np.save(folder / PROBABILITIES, probs)
    rewrite_card(folder)


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda p: p * np.where(np.arange(40) == 7, np.nan, 1)[:, None], "others in 1 of 40 rows"),
        (lambda p: p[:-1], "(39, 7)"),
        (lambda p: p[:, :-1], "(40, 6)"),
        (lambda p: p * 2, "sum to 1"),
        (lambda p: p - 0.5 + 0.5 * np.eye(7)[0] * 7, "sum to 1"),
    ],
)
def test_what_are_no_probabilities_is_refused_by_name(
    study: Any, made: Any, rewrite_card: Any, damage: Any, word: str
) -> None:
    folder = study.trials[1].checkpoint
    replace_probabilities(folder, rewrite_card, damage(made(3, 40)[0][1]))
    refuse(study, str(folder / PROBABILITIES), word)


def test_a_flipped_bit_is_refused_by_name(study: Any) -> None:
    path = study.trials[1].checkpoint / PROBABILITIES
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    refuse(study, str(path), "checksum")


def test_a_pickle_is_not_opened(study: Any, rewrite_card: Any) -> None:
    folder = study.trials[1].checkpoint
    np.save(folder / PROBABILITIES, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    rewrite_card(folder)
    refuse(study, str(folder / PROBABILITIES))


@pytest.mark.parametrize("content", ["", "[]", '{"sha256": {}}', "{" * 9])
def test_a_card_that_says_nothing_is_refused_by_name(study: Any, content: str) -> None:
    path = study.trials[1].checkpoint / CARD
    path.write_text(content)
    refuse(study, str(path))


def test_missing_files_are_refused_by_name(study: Any) -> None:
    folder = study.trials[1].checkpoint
    (folder / PROBABILITIES).unlink()
    refuse(study, str(folder / PROBABILITIES))
    (folder / CARD).unlink()
    refuse(study, str(folder / CARD))


def test_a_member_of_other_data_is_refused(study: Any, rewrite_card: Any) -> None:
    rewrite_card(study.trials[1].checkpoint, provenance={"fingerprint": "beef", "split": "5eed"})
    with pytest.raises(StudyError, match=r"fingerprint f00d\), trial 4 was on beef"):
        members.load(study, 3)


@pytest.mark.parametrize("provenance", [{"fingerprint": "f00d", "split": "0dd"}, {"fingerprint": "f00d"}])
def test_a_member_that_may_have_seen_validation_rows_is_refused(
    study: Any, rewrite_card: Any, provenance: dict[str, str]
) -> None:
    rewrite_card(study.trials[1].checkpoint, provenance=provenance)
    with pytest.raises(StudyError, match=r"trial 4 .* another or an unknown split, so it may have seen"):
        members.load(study, 3)
    del study.data["split"]  # a study that never wrote its split down cannot tell
    assert len(members.load(study, 3).numbers) == 3


def test_parameters_and_latencies_are_costs_where_all_are_known(study: Any, rewrite_card: Any) -> None:
    assert members.load(study, 3).costs().keys() == {"parameters"}
    latencies = iter((2.0, 3.0, 4.0))
    members.measured(members.load(study, 3), lambda _: next(latencies))
    rewrite_card(study.trials[1].checkpoint, parameters=None)
    found = members.load(study, 3)
    assert found.costs().keys() == {"latency_ms"}
    assert found.costs()["latency_ms"].tolist() == [2, 3, 4]
    assert found.only([2, 0]).costs()["latency_ms"].tolist() == [4, 2]


def test_a_latency_is_measured_once_a_machine(study: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []

    def measure(folder: Path) -> float:
        asked.append(folder)
        return 5.0

    for _ in range(2):
        found = members.measured(members.load(study, 3), measure)
        assert found.latencies == (5.0, 5.0, 5.0)
    assert asked == [trial.checkpoint for trial in study.trials]
    monkeypatch.setattr("platform.node", lambda: "elsewhere")
    assert members.load(study, 3).latencies == (None, None, None)


def test_weights_are_checked_on_demand(study: Any) -> None:
    got = members.load(study, 3)
    members.check_weights(got)
    path = study.trials[1].checkpoint / WEIGHTS
    path.write_bytes(b"other")
    members.check_weights(got.only([0, 2]))
    with pytest.raises(CheckpointError, match=rf"trial 4: {path} .*checksum"):
        members.check_weights(got)
    path.unlink()
    with pytest.raises(CheckpointError, match=rf"trial 4: {path} .*missing"):
        members.check_weights(got)


def test_a_card_keeps_its_checksums_as_json(study: Any) -> None:
    card = json.loads((study.trials[0].checkpoint / CARD).read_text())
    assert members.load(study, 2).cards[0] == card


def test_members_are_ranked_by_what_they_say_of_the_validation_rows(study: Any) -> None:
    got = members.load(study, 3)
    worst_first = np.stack([1 - got.probs_mnc[0], got.probs_mnc[0], got.probs_mnc[0]])
    ranked = replace(got, probs_mnc=worst_first / worst_first.sum(2, keepdims=True)).ranked("nll")
    assert ranked.numbers == (4, 7, 1), "equal ones stay in their order"
    assert np.allclose(ranked.probs_mnc[0], got.probs_mnc[0])
