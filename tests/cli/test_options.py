"""What `--study` stands for, what is remembered, and what is written down of a command line."""

import re
import sys
from pathlib import Path

import pytest
import torch

from ferhpo.cli import options
from ferhpo.cli.options import (
    chosen,
    command_line,
    device_of,
    last_ensemble,
    remember,
    remember_ensemble,
)
from ferhpo.errors import UsageError
from ferhpo.study.find import find_spec


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, name: str, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.toml").write_text(f"seed = {seed}\n")


@pytest.mark.parametrize(
    ("gpus", "given", "place"),
    [(0, None, "cpu"), (1, None, "cuda"), (1, "cpu", "cpu"), (1, "cuda", "cuda"), (2, "cuda:1", "cuda:1")],
)
def test_nets_run_on_a_gpu_where_there_is_one_unless_told_otherwise(
    monkeypatch: pytest.MonkeyPatch, gpus: int, given: str | None, place: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: bool(gpus))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(options, "unusable", lambda _: "")
    assert device_of(given) == place


def test_a_gpu_that_torch_cannot_compute_on_is_left_alone_and_refused_where_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)

    def none(*_: object, **_more: object) -> None:
        msg = "CUDA error: no kernel image is available for execution on the device\nCompile with"
        raise RuntimeError(msg)

    monkeypatch.setattr(torch, "ones", none)
    assert device_of(None) == "cpu"
    assert "nets run on the CPU" in capsys.readouterr().err
    said = r"needs a GPU that torch can use, .* \(CUDA error: no kernel image .* device\); leave it out"
    with pytest.raises(UsageError, match=said):
        device_of("cuda")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("tpu", "--device must be cpu, cuda or cuda:N, got 'tpu'"),
        ("cpu:1", "--device must be cpu, cuda or cuda:N, got 'cpu:1'"),
        ("cpu:", "--device must be cpu, cuda or cuda:N, got 'cpu:'"),
        ("cuda:", "--device must be cpu, cuda or cuda:N, got 'cuda:'"),
        ("cuda:01", "--device must be cpu, cuda or cuda:N, got 'cuda:01'"),
        ("cuda:x", "--device must be cpu, cuda or cuda:N, got 'cuda:x'"),
        ("cuda:1", "--device cuda:1 needs a GPU, and torch sees 1 here; leave it out"),
    ],
)
def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch, given: str, said: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(UsageError, match=re.escape(said)):
        device_of(given)


def test_without_a_study_the_one_last_used_is_chosen_else_quickstart() -> None:
    root = Path("studies")
    assert chosen(None, root) == "quickstart"
    remember("toy", root)
    assert chosen(None, root) == "toy"
    assert chosen("other", root) == "other"


def test_a_study_given_by_path_is_remembered_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "else", "a", 2)
    root = tmp_path / "root"
    remember("else/a.toml", root)
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert find_spec(chosen(None, root), root).seed == 2


def test_each_root_remembers_its_own() -> None:
    remember("one", Path("a"))
    remember("two", Path("b"))
    assert (chosen(None, Path("a")), chosen(None, Path("b"))) == ("one", "two")


def test_study_and_ensemble_are_remembered_side_by_side(tmp_path: Path) -> None:
    root = Path("studies")
    assert last_ensemble(root) is None
    remember_ensemble(Path("studies/toy/ensemble"), root)
    remember("toy", root)
    remember_ensemble(Path("studies/other/ensemble"), root)
    assert last_ensemble(root) == tmp_path / "studies/other/ensemble"
    assert chosen(None, root) == "toy"


def test_the_last_ensemble_moves_with_the_root_it_lies_below(tmp_path: Path) -> None:
    ours = Path("studies/toy/ensemble")
    ours.mkdir(parents=True)
    remember_ensemble(ours, Path("studies"))
    Path("studies").rename("moved")
    assert last_ensemble(Path("moved")) == tmp_path / "moved/toy/ensemble"
    remember_ensemble(tmp_path / "else/ensemble", Path("moved"))
    assert last_ensemble(Path("moved")) == tmp_path / "else/ensemble"


def test_a_root_that_cannot_be_written_is_no_reason_to_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(options, "write_json", refused)
    remember("toy", Path("studies"))
    remember_ensemble(Path("studies/toy/ensemble"), Path("studies"))
    assert last_ensemble(Path("studies")) is None


def test_an_ensemble_that_was_remembered_by_its_whole_path_is_still_found(tmp_path: Path) -> None:
    Path("studies").mkdir()
    Path("studies/.last").write_text(f'{{"ensemble": "{tmp_path}/studies/toy/ensemble"}}')
    assert last_ensemble(Path("studies")) == tmp_path / "studies/toy/ensemble"


@pytest.mark.parametrize("content", ["", "{", "[]", "3"])
def test_a_damaged_note_is_as_good_as_none(content: str) -> None:
    Path("studies").mkdir()
    Path("studies/.last").write_text(content)
    assert chosen(None, Path("studies")) == "quickstart"
    remember("toy", Path("studies"))
    assert chosen(None, Path("studies")) == "toy"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cr3t@host/db",
        "postgresql+psycopg://me:s3cr3t/@x@host:5432/db",
        "postgresql://me@host/db?password=s3cr3t&sslmode=require",
        "mysql://:s3cr3t@host/db",
        "postgresql+psycopg://me@corp:s3cr3t@host/db",
        "postgresql://me:a s3cr3t@host/db",
        "postgresql://host:5432/db?password=s3cr3t@s3cr3t",
    ],
)
@pytest.mark.parametrize("form", ["--storage {}", "--storage={}"])
def test_the_recorded_command_line_holds_no_password(monkeypatch: pytest.MonkeyPatch, url: str, form: str) -> None:
    words = [word.format(url) for word in form.split()]
    monkeypatch.setattr(sys, "argv", ["/x/bin/ferhpo", "ensemble", "--test", *words])
    assert command_line().startswith("ferhpo ensemble --test --storage")
    assert "s3cr3t" not in command_line()
    assert "host" in command_line()


def test_the_recorded_command_line_is_else_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["ensemble", "--test", "--data", "a@b:c.csv", "--storage", "sqlite:////a/b@c.db"]
    monkeypatch.setattr(sys, "argv", ["ferhpo", *words])
    assert command_line() == " ".join(["ferhpo", *words])
