from pathlib import Path

from ferhpo.data.cache import prepare
from ferhpo.data.summary import in_one_line
from ferhpo.space.sections import DataSpec
from tests.data.made_up import row, write_csv


def test_the_data_are_described_with_what_was_dropped(tmp_path: Path) -> None:
    rows = [row((0, 3)[i % 2], "Training", seed=i) for i in range(20)]
    rows += [row((0, 3)[i % 2], "PublicTest", seed=i) for i in (0, 1, 30, 31)]
    rows += [row((0, 3)[i % 2], "PrivateTest", seed=40 + i) for i in range(4)]
    path = write_csv(tmp_path / "fer2013.csv", rows)
    text = in_one_line(prepare(DataSpec(), path, tmp_path / "cache"))
    assert text == "data: fer2013.csv: train 18, val 4, test 4; dropped 2 training images also in validation"
