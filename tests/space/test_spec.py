"""A study file is read strictly: what is not understood is refused with file and line."""

from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ferhpo.errors import SpecError
from ferhpo.models.registry import check
from ferhpo.space.lines import line_of
from ferhpo.space.spec import SECTIONS, TOP, StudySpec, parse_spec, read_spec

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.toml"))
WHOLE = """\
description = "all there is"
metric = "nll"
direction = "minimize"
constraints = ["params <= 2e6", "latency_ms<=5"]
seed = 7

[data]
format = "folders"
path = "images"
size = 64
channels = 3
frames = 4
rows = 500
classes = ["happy", "sad"]
labels = "soft"
also = ["more"]
images = "faces"
image_column = "file"
label_column = "emotion"
split_column = ""
group_column = "subject"
drop_blank = true
drop_leaks = true
val = 0.2
test = 0.1

[budget]
epochs = 3
trials = 9
timeout = "1.5h"
max_failures = 2
trial_time = "90s"

[sampler]
name = "random"
startup = 4
points = 7

[scheduler]
name = "none"
grace = 2
reduction = 4
population = 6

[space]
arch = "vgg8"
augment = 1
lr = { low = 1e-3, high = 1, log = true, default = 0.1 }

[space.optimizer]
choices = ["sgd", "adam"]
default = "sgd"
"""


def parse(text: str) -> StudySpec:
    return parse_spec(text, name="x", path="x.toml")


def refused(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        parse(text)
    return str(caught.value)


def test_every_key_reaches_its_value() -> None:
    spec = parse(WHOLE)
    assert (spec.description, spec.metric, spec.direction, spec.seed) == ("all there is", "nll", "minimize", 7)
    assert spec.objectives == ("nll",)
    assert [str(c) for c in spec.constraints] == ["params <= 2000000", "latency_ms <= 5"]
    assert (spec.data.format, spec.data.path, spec.data.size, spec.data.channels) == ("folders", "images", 64, 3)
    assert (spec.data.rows, spec.data.val, spec.data.test) == (500, 0.2, 0.1)
    assert (spec.data.classes, spec.data.labels, spec.data.also) == (("happy", "sad"), "soft", ("more",))
    assert (spec.data.image_column, spec.data.label_column) == ("file", "emotion")
    assert (spec.data.split_column, spec.data.group_column, spec.data.images) == ("", "subject", "faces")
    assert (spec.data.drop_blank, spec.data.drop_leaks) == (True, True)
    assert (spec.budget.epochs, spec.budget.trials, spec.budget.timeout, spec.budget.max_failures) == (3, 9, "1.5h", 2)
    assert spec.budget.trial_seconds == 90
    assert (spec.sampler.name, spec.sampler.startup) == ("random", 4)
    assert (spec.scheduler.name, spec.scheduler.grace, spec.scheduler.reduction) == ("none", 2, 4)
    assert spec.scheduler.population == 6
    assert spec.data.frames == 4
    seen = {"frames": 4, "image_size": 64}
    assert dict(spec.space.fixed) == {"arch": "vgg8", "augment": 1, **seen}, "a net knows what its images are"
    assert [d.name for d in spec.space.dimensions] == ["optimizer", "lr"]
    assert (spec.name, spec.path, spec.text) == ("x", "x.toml", WHOLE)


def test_nets_see_images_as_they_are_kept_unless_the_space_says_another_size() -> None:
    kept = "[data]\nsize = 96\n[space]\n"
    assert parse(kept).space.default_config().image_size == 96
    assert parse(kept + "image_size = 32").space.default_config().image_size == 32
    searched = parse(kept + "image_size = { choices = [32, 64], default = 64 }").space
    assert searched.default_config().image_size == 64
    assert "image_size" not in searched.fixed


def test_the_whole_example_sets_every_key_there_is() -> None:
    for section, made in SECTIONS.items():
        assert all(line_of(WHOLE, section, f.name) != line_of(WHOLE, section) for f in fields(made))
    assert all(line_of(WHOLE, key) for key in TOP)


def test_an_empty_file_has_every_default() -> None:
    spec = parse("")
    assert spec == StudySpec(name="x", path="x.toml", text="")


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_every_study_file_of_ferhpo_is_read_and_names_known_architectures(path: Path) -> None:
    spec = read_spec(path)
    searched = [d for d in spec.space.dimensions if d.name == "arch"]
    for arch in searched[0].choices if searched else [spec.space.default_config().arch]:
        check(arch)
    assert spec.description


def test_there_are_study_files() -> None:
    assert {"quickstart", "fer2013"} <= {p.stem for p in STUDIES}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\nmetrik = 'nll'", "x.toml:2: unknown key 'metrik'; did you mean 'metric'"),
        ("[spaces]\n", "x.toml:1: unknown key 'spaces'; did you mean 'space'"),
        ("[budget]\nepochs = 2\nepoch = 3", "x.toml:3: unknown key 'epoch' in [budget]; did you mean 'epochs'"),
        ("[data]\nsize = 48\n\n[sampler]\nsize = 3", "x.toml:5: unknown key 'size' in [sampler]"),
        ("seed = '1'", "x.toml:1: seed takes a whole number, got '1'"),
        ("seed = -1", "x.toml:1: seed must be at least 0, got -1"),
        ("seed = true", "x.toml:1: seed takes a whole number, got True"),
        ("description = 1", "x.toml:1: description takes a text in quotes, got 1"),
        ("data = 1", "x.toml:1: data takes a table, got 1"),
        ("[[data]]\nsize = 48", "x.toml:1: data takes a table"),
        ("space = []", "x.toml:1: space takes a table"),
        ("\nmetric = 'acuracy'", "x.toml:2: a metric must be a known one, got 'acuracy'; did you mean 'accuracy'"),
        (
            "metric = 'nll'\ndirection = 'maximize'",
            "x.toml:2: direction must be the metric's, minimize, got 'maximize'",
        ),
        (
            "metric = ['params', 'accuracy']\ndirection = ['minimize', 'minimize']",
            "x.toml:2: direction must be the metrics', minimize, maximize, got 'minimize, minimize'",
        ),
        (
            "metric = ['accuracy', 'parms']",
            "x.toml:1: a metric must be a known one, got 'parms'; did you mean 'params'",
        ),
        ("metric = ['accuracy', 'accuracy']", "x.toml:1: a study names each objective once, got accuracy, accuracy"),
        ("metric = ['accuracy', 1]", "x.toml:1: metric takes a list of texts, got ['accuracy', 1]"),
        ("metric = 'latency_ms'", "x.toml:1: a study needs a validation figure among its objectives"),
        ("metric = []", "x.toml:1: a study needs a validation figure among its objectives"),
        ("constraints = 'params <= 5'", "x.toml:1: constraints takes a list of texts"),
        (
            "\nconstraints = ['latency <= 5']",
            "x.toml:2: a constraint takes a known quantity, got 'latency' in 'latency <= 5'; did you mean 'latency_ms'",
        ),
        ("constraints = ['params < 5']", "a constraint is written like 'latency_ms <= 5' or 'accuracy >= 0.6', got"),
        ("direction = 'up'", "x.toml:1: direction must be the metric's, maximize, got 'up'"),
        ("[data]\nformat = 'csv'", "x.toml:2: format must be a known one, got 'csv'"),
        ("[data]\npath = 1", "x.toml:2: path takes a text in quotes, got 1"),
        ("[budget]\ntrial_time = '1x'", "x.toml:2: a duration is a number above 0"),
        ("[budget]\ntrial_time = '1m'", 'x.toml:2: trial_time needs scheduler "none" and a sampler other than'),
        ("[data]\nsize = 4", "x.toml:2: size must be from 8 to 1024, got 4"),
        ("[data]\nsize = 48.0", "x.toml:2: size takes a whole number, got 48.0"),
        ("[data]\nchannels = 2", "x.toml:2: channels must be a known one, got 2"),
        ("[data]\nframes = 0", "x.toml:2: frames must be from 1 to 64, got 0"),
        (
            "[space]\nframes = 4",
            "x.toml:2: [space] cannot set frames, which follows from the images; set it in [data]",
        ),
        ("[data]\nrows = 10", "x.toml:2: rows must be from 100"),
        ("[data]\nval = 0.6", "x.toml:2: val must be from 0.01 to 0.5, got 0.6"),
        ("[data]\ntest = nan", "x.toml:2: test must be from 0.01 to 0.5, got nan"),
        ("[budget]\nepochs = 0", "x.toml:2: epochs must be from 1 to"),
        ("[budget]\ntrials = 0", "x.toml:2: trials must be from 1 to"),
        ("[budget]\nmax_failures = 0", "x.toml:2: max_failures must be from 1 to"),
        ("[budget]\ntimeout = 30", "x.toml:2: timeout takes a text in quotes, got 30"),
        ("[budget]\ntimeout = 'soon'", "x.toml:2: a duration is a number above 0 with s, m, h or d after it"),
        ("[sampler]\nname = 'tpee'", "x.toml:2: name must be a known one, got 'tpee'; did you mean 'tpe'"),
        ("[sampler]\nstartup = -1", "x.toml:2: startup must be from 0"),
        (
            "[scheduler]\nname = 'hyperban'",
            "x.toml:2: name must be a known one, got 'hyperban'; did you mean 'hyperband'",
        ),
        ("[scheduler]\ngrace = 0", "x.toml:2: grace must be from 1"),
        ("[scheduler]\nreduction = 1", "x.toml:2: reduction must be from 2 to 100, got 1"),
        (
            "[space]\n\ndrop_out = 0.2",
            "x.toml:3: a setting must be a known one, got 'drop_out'; did you mean 'dropout'",
        ),
        ("[space]\nlr = [0.1]", "x.toml:2: lr takes a number, got [0.1]"),
        ("[space]\nwidth = 2", "x.toml:2: width must be at least 4"),
        ("[space]\nepochs = 5", "x.toml:2: epochs cannot be set here: it belongs to the study"),
        ("[space]\nlr = { low = 1, high = 0.1, default = 1 }", "x.toml:2: lr needs low < high, got low=1.0, high=0.1"),
        ("[space]\nlr = { low = 0.1, high = 1 }", "x.toml:2: lr needs a default"),
        ("[space]\narch = 'vgg8'\n[space.lr]\nlow = 1", "x.toml:3: lr needs a default"),
        ("[space]\narch = { choices = [['a']], default = 'a' }", "x.toml:2: arch takes a text, got ['a']"),
        (
            "[space]\nwidth = { choices = [8, 16], default = 8, when = { batch_size = 64 } }\n"
            "batch_size = { choices = [32, 64], default = 64, when = { width = 8 } }",
            "x.toml:1: conditions must not go in a circle",
        ),
    ],
)
def test_what_is_not_understood_is_refused_at_its_line(text: str, message: str) -> None:
    assert message in refused(text)


def test_broken_toml_is_refused_with_the_line() -> None:
    assert "x.toml: a study file must be TOML" in refused("seed = 1\nmetric = \n")
    assert "at line 2" in refused("seed = 1\nmetric = \n")


def test_a_key_given_twice_is_refused() -> None:
    assert "a study file must be TOML" in refused("seed = 1\nseed = 2\n")


@pytest.mark.parametrize("name", ["fer2013", "a.b-c_D", "7"])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert parse_spec("", name=name).name == name


@pytest.mark.parametrize("name", ["", ".hidden", "-x", "a b", "a/b", "..", "é", "a\n"])
def test_a_name_that_is_no_safe_folder_is_refused(name: str) -> None:
    with pytest.raises(SpecError, match="a study's name is made of letters, digits"):
        parse_spec("", name=name)


def test_the_name_is_the_files(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("seed = 3\n")
    spec = read_spec(tmp_path / "mine.toml")
    assert (spec.name, spec.path, spec.seed) == ("mine", tmp_path / "mine.toml", 3)


@pytest.mark.parametrize("path", sorted(STUDIES[0].parent.rglob("*.toml")), ids=lambda p: p.stem)
def test_every_dimension_of_ferhpos_study_files_may_apply(path: Path) -> None:
    assert read_spec(path).space.unreachable == ()


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("seed = 3\n", encoding="utf-8-sig")
    assert read_spec(tmp_path / "a.toml").text == "seed = 3\n"
    assert parse_spec("\ufeffseed = 3\n", name="a").text == "seed = 3\n", "which somebody read as it is"


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"none\.toml: a study file must be a readable text file \(No such file"):
        read_spec(tmp_path / "none.toml")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="a study file must be a readable text file"):
        read_spec(tmp_path)


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.toml").write_bytes(b'description = "\xe4"\n')
    with pytest.raises(SpecError, match=r"x\.toml: .*it is not UTF-8"):
        read_spec(tmp_path / "x.toml")


@given(st.text(max_size=60))
def test_no_text_whatever_makes_anything_but_a_study_or_a_spec_error(text: str) -> None:
    try:
        parse(text)
    except SpecError as error:
        assert str(error).startswith("x.toml")  # noqa: PT017
