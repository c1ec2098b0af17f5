"""Results on stdout, talk on stderr, numbers as people read them."""

import json

import pytest

from ferhpo.cli.output import cell, print_facts, print_json, print_table, say, settings

Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, ""),
        (True, "yes"),
        (False, "no"),
        (3, "3"),
        (0.5, "0.5"),
        (0.61234, "0.6123"),
        (1.0, "1"),
        (0.0, "0"),
        (0.00012345, "0.0001234"),
        (123456.0, "1.235e+05"),
        (-0.25, "-0.25"),
        (float("nan"), "nan"),
        ("text", "text"),
    ],
)
def test_a_value_is_shown_in_four_digits(value: object, shown: str) -> None:
    assert cell(value) == shown


def test_settings_are_one_line() -> None:
    assert settings({"lr": 0.1, "arch": "vgg8"}) == "lr=0.1 arch=vgg8"


def test_talk_goes_to_stderr(capsys: Capture) -> None:
    say("hello")
    assert capsys.readouterr() == ("", "hello\n")


def test_json_goes_to_stdout_and_reads_back(capsys: Capture) -> None:
    print_json({"a": [1, None], "b": "ä"})
    out, err = capsys.readouterr()
    assert json.loads(out) == {"a": [1, None], "b": "ä"}
    assert err == ""


def test_json_without_meaning_for_other_programs_is_never_printed() -> None:
    with pytest.raises(ValueError, match="JSON"):
        print_json({"a": float("nan")})


def test_a_table_into_a_pipe_keeps_long_rows_in_one_line(capsys: Capture) -> None:
    print_table(("trial", "settings"), [(1, "x" * 150), (20, "")], title="all")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [["all"], ["trial", "settings"], ["1", "x" * 150], ["20"]]
    assert lines[2].index("1") > lines[1].index("t"), "numbers stand to the right"


def test_a_table_into_a_pipe_may_have_any_number_of_columns(capsys: Capture) -> None:
    print_table([f"class{i}" for i in range(60)], [[0.1234] * 60])
    assert [len(line.split()) for line in capsys.readouterr().out.splitlines()] == [60, 60]


def test_a_table_shows_brackets_as_they_are(capsys: Capture) -> None:
    print_table(("[bold]", ":smile:", "[/x]"), [("[red]x[/red]", "[1]", "")])
    out = capsys.readouterr().out
    assert out.split() == ["[bold]", ":smile:", "[/x]", "[red]x[/red]", "[1]"]


def test_facts_are_one_a_line(capsys: Capture) -> None:
    print_facts([("best", 0.5), ("study", "toy")])
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [["best", "0.5"], ["study", "toy"]]


def test_a_cell_shows_no_control_characters() -> None:
    assert cell("new\nline\x1b[31mé.png") == r"new\nline\x1b[31mé.png"
