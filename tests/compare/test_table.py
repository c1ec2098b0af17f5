"""The table has a line for what was reported, reproduced, searched and combined, and a cell for every figure."""

import csv
import json
from pathlib import Path
from typing import Any

from ferhpo.compare.run import System
from ferhpo.compare.table import COLUMNS, HEADS, markdown, rows, text_csv, write
from ferhpo.space.spec import parse_spec
from tests.compare.conftest import SYSTEM

SPEC = parse_spec(SYSTEM, name="tiny")
FIGURES = {"accuracy": 0.5, "nll": 1.25, "macro_f1": 0.4}


def entry(**changes: Any) -> dict[str, Any]:
    config = {"pretrained": False, "arch": "shallow_cnn"}
    made = {"trials": [0], "parameters": 1234, "flops": 2_000_000, "configs": [config], "epochs": 3, "method": None}
    return {**made, "images_per_second": 100.0, "val": FIGURES, "test": FIGURES, **changes}


def system(**changes: Any) -> System:
    found = {
        "reproduced": {"single": entry()},
        "searched": {"single": entry(trials=[2]), "ensemble": entry(trials=[2, 1])},
    }
    return System(spec=SPEC, **{"found": found, "data": "fer2013", "rows": 1000, "notes": ["look | here"], **changes})


def test_four_lines_a_system_and_the_contradictions_that_were_reported() -> None:
    lines = rows([system()])
    assert [line["row"] for line in lines] == ["reported", "reproduced", "searched", "ensemble"]
    assert all(line.keys() == set(COLUMNS) for line in lines)
    assert (lines[0]["test_accuracy"], lines[0]["test_loss"], lines[0]["weights"]) == ([0.43], [1.5, 1.3], None)
    assert (lines[1]["val_loss"], lines[1]["test_macro_f1"], lines[1]["epoch_seconds"]) == (1.25, 0.4, 10.0)
    assert (lines[1]["weights"], lines[3]["epoch_seconds"], lines[3]["trials"]) == ("random", None, "2, 1")


def test_a_row_that_could_not_be_filled_says_why() -> None:
    lines = rows([system(found={}, errors={"reproduced": "out of memory"})])
    assert [line["note"] for line in lines] == [None, "out of memory", "not run yet"]
    alone = rows([system(found={"searched": {"single": entry()}})])
    assert alone[-1]["note"] == "one trial alone can be combined with nothing"


def test_pretrained_and_random_weights_are_told_apart() -> None:
    loaded = {"pretrained": True, "arch": "timm:resnet18"}
    both = entry(configs=[loaded, {"pretrained": True, "arch": "vgg8"}])
    found = {"reproduced": {"single": entry(configs=[loaded])}, "searched": {"single": entry(), "ensemble": both}}
    assert [line["weights"] for line in rows([system(found=found)])] == [
        None,
        "pretrained",
        "random",
        "some pretrained",
    ]


def test_all_systems_together_end_the_table_and_name_who_is_not_in_it() -> None:
    joined = entry(trials=[0, 2], studies=["a-searched", "b-searched"], method="greedy", images_per_second=None)
    last = rows([system()], joined, ["c-searched"])[-1]
    assert (last["system"], last["row"], last["method"]) == ("all systems", "ensemble", "greedy")
    assert last["trials"] == "a-searched 0, b-searched 2"
    assert last["note"] == "2 trials of 2 studies; without c-searched, whose rows are split in another way"


def test_the_files_hold_the_same_lines(tmp_path: Path) -> None:
    lines = rows([system()])
    write(tmp_path, lines, {"scale": 1}, "lead")
    text = (tmp_path / "compare.md").read_text()
    assert text.startswith("lead\n\n| System | Row |")
    assert "1.5000 or 1.3000" in text
    assert "look \\| here" in text
    assert all(line.count(" | ") == len(HEADS) - 1 for line in markdown(lines).replace("\\|", "").splitlines())
    read = list(csv.DictReader((tmp_path / "compare.csv").read_text().splitlines()))
    assert (read[0]["test_loss"], read[1]["parameters"]) == ("1.5;1.3", "1234")
    assert text_csv(lines).splitlines()[0] == ",".join(COLUMNS)
    stored = json.loads((tmp_path / "compare.json").read_text())
    assert (stored["scale"], stored["rows"]) == (1, lines)
