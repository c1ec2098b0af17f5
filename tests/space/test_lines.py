"""The line of a key is found, so that an error can name it."""

import pytest

from ferhpo.space.lines import line_in_try, line_of

TEXT = """\
seed = 7

[data]
format = "folders"
size = 64

[sampler]
name = "random"
[scheduler]
name = "none"

[space]
lr = { low = 1e-3, high = 1, log = true, default = 0.1 }

[space.optimizer]
choices = ["sgd", "adam"]
"""
TRIES = """\
[[try]]
lr = 0.5
[space]
lr = 0.1
[[try]]

"lr" = 0.2
"""


@pytest.mark.parametrize(
    ("keys", "line"),
    [
        (("seed",), 1),
        (("data",), 3),
        (("data", "size"), 5),
        (("sampler", "name"), 8),
        (("scheduler", "name"), 10),
        (("space", "lr"), 13),
        (("space", "optimizer"), 15),
        (("data", "nothing"), 3),
        (("nothing",), None),
        (("nothing", "at all"), None),
    ],
)
def test_the_line_of_a_key_is_found(keys: tuple[str, ...], line: int | None) -> None:
    assert line_of(TEXT, *keys) == line


@pytest.mark.parametrize(
    "text", ["\n'seed' = 1", "\n  seed=1", "# seed = 0\nseed = 1", "seeds = 0\nseed = 1", '\n"seed".x = 1']
)
def test_a_key_is_found_however_it_is_written(text: str) -> None:
    assert line_of(text, "seed") == 2


def test_a_dotted_key_is_found() -> None:
    assert line_of("seed = 1\ndata.size = 4\n", "data", "size") == 2


@pytest.mark.parametrize(("index", "key", "line"), [(0, "lr", 2), (1, "lr", 7), (1, "", 5), (1, "dropout", 5)])
def test_the_line_of_a_key_is_found_in_the_try_that_sets_it(index: int, key: str, line: int) -> None:
    assert line_in_try(TRIES, index, key) == line
