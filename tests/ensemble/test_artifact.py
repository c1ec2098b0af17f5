import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ferhpo._layout import CARD, WEIGHTS
from ferhpo.ensemble import artifact, members
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.errors import CheckpointError


@pytest.fixture
def parts(fake: Any, made: Any) -> Any:
    return members.load(fake(*made(3, 60)), 3)


def write(parts: Any, folder: Path, method: str = "logistic") -> Any:
    combination = METHODS[method](parts.probs_mnc, parts.y_n, parts.groups_n)
    artifact.write(folder, parts, combination, report={}, provenance={"study": "made"}, tta="flip")
    return combination


@pytest.mark.parametrize("method", METHODS)
def test_it_predicts_the_same_to_the_bit_after_a_move(parts: Any, tmp_path: Path, method: str) -> None:
    combination = write(parts, tmp_path / "ensemble", method)
    shutil.move(tmp_path / "ensemble", tmp_path / "elsewhere")
    shutil.rmtree(tmp_path / "made")
    got = artifact.read(tmp_path / "elsewhere")
    assert got.combination.method == method
    assert (got.combination.predict(parts.probs_mnc) == combination.predict(parts.probs_mnc)).all()
    assert got.numbers == parts.numbers
    assert got.classes == parts.classes
    assert got.preprocessing == {"stored_size": 48, "channels": 1}
    assert got.report == {}
    assert got.tta == "flip"
    assert got.provenance == {"study": "made"}
    assert (got.folders[1] / WEIGHTS).read_bytes() == b"weights of 4"


def test_no_path_of_this_machine_is_in_it(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble")
    assert str(tmp_path) not in (tmp_path / "ensemble" / artifact.INDEX).read_text()


def test_an_older_one_is_replaced_whole(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble")
    write(parts.only([1]), tmp_path / "ensemble", "uniform")
    assert [p.name for p in (tmp_path / "ensemble" / "members").iterdir()] == ["0004"]
    assert artifact.read(tmp_path / "ensemble").numbers == (4,)


def test_an_older_one_stays_when_writing_fails(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble")
    (parts.folders[2] / WEIGHTS).unlink()
    with pytest.raises(CheckpointError, match="trial 7"):
        write(parts, tmp_path / "ensemble", "uniform")
    assert artifact.read(tmp_path / "ensemble").combination.method == "logistic"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ensemble", "made"]


def test_members_that_take_other_images_are_refused(parts: Any, tmp_path: Path) -> None:
    parts.cards[1]["preprocessing"]["stored_size"] = 64
    with pytest.raises(CheckpointError, match="trial 4 takes others than 1"):
        write(parts, tmp_path / "ensemble")


@pytest.mark.parametrize("name", [f"members/0004/{WEIGHTS}", f"members/0004/{CARD}", artifact.INDEX])
@pytest.mark.parametrize("damage", ["flip", "cut", "missing"])
def test_a_damaged_file_is_named(parts: Any, tmp_path: Path, name: str, damage: str) -> None:
    write(parts, tmp_path / "ensemble")
    path = tmp_path / "ensemble" / name
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.unlink()
    if damage != "missing":
        path.write_bytes(raw if damage == "flip" else raw[: len(raw) // 2])
    with pytest.raises(CheckpointError) as caught:
        artifact.read(tmp_path / "ensemble")
    assert (str(path) if damage != "missing" else path.name) in str(caught.value)
    assert "`ferhpo ensemble`" in str(caught.value)


def test_a_changed_number_is_noticed(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble")
    path = tmp_path / "ensemble" / artifact.INDEX
    index = json.loads(path.read_text())
    index["combination"]["bias"][0] += 0.5
    path.write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="checksum"):
        artifact.read(tmp_path / "ensemble")


@pytest.mark.parametrize("content", ["[]", "{}", '{"format": 1}', '{"format": 1, "sha256": ""}', "null", "\xff"])
def test_what_is_no_index_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / artifact.INDEX).write_bytes(content.encode("latin-1"))
    with pytest.raises(CheckpointError, match=artifact.INDEX):
        artifact.read(tmp_path)


def test_an_unknown_method_is_refused(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble", "uniform")
    path = tmp_path / "ensemble" / artifact.INDEX
    index = {key: value for key, value in json.loads(path.read_text()).items() if key != "sha256"}
    index["combination"]["method"] = "oracle"
    path.write_text(json.dumps(index | {"sha256": artifact._digest(index)}))
    with pytest.raises(CheckpointError, match="oracle"):
        artifact.read(tmp_path / "ensemble")


def test_numbers_survive_json_exactly(parts: Any, tmp_path: Path) -> None:
    combination = write(parts, tmp_path / "ensemble")
    got = artifact.read(tmp_path / "ensemble").combination
    assert got.meta is not None
    assert np.array_equal(got.meta.coef_cmk, combination.meta.coef_cmk)
    assert got.meta.strength == combination.meta.strength


def test_the_model_card_lies_in_it(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "ensemble")
    assert (tmp_path / "ensemble" / artifact.MODEL_CARD).read_text().startswith("# Model card: study made")


def test_a_checkpoint_reads_as_an_ensemble_of_one(parts: Any) -> None:
    got = artifact.read(parts.folders[1])
    assert got.folders == (parts.folders[1],)
    assert got.combination.weights_m.tolist() == [1.0]
    assert (got.classes, got.preprocessing) == (parts.classes, {"stored_size": 48, "channels": 1})
    assert (got.combination.predict(parts.probs_mnc[1:2]) == parts.probs_mnc[1]).all()


def test_a_damaged_checkpoint_is_named(parts: Any) -> None:
    path = parts.folders[1] / CARD
    path.write_text("{}")
    with pytest.raises(CheckpointError, match=str(path)):
        artifact.read(parts.folders[1])


def test_one_ensemble_is_told_from_another(parts: Any, tmp_path: Path) -> None:
    write(parts, tmp_path / "a", "uniform")
    write(parts, tmp_path / "b", "uniform")
    write(parts, tmp_path / "c", "logistic")
    first, same, other = (artifact.digest(tmp_path / name) for name in "abc")
    assert first == same != other != artifact.digest(parts.folders[0])
