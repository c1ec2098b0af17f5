"""The validation rows of a study are kept as they are, or refused."""

from collections.abc import Callable

import fakes
import numpy as np
import pytest

from ferhpo.errors import CheckpointError
from ferhpo.study.study import Study
from ferhpo.study.writer import StudyWriter

Make = Callable[..., Study]


def test_validation_rows_are_read_back(study: Make, data: fakes.FakeData) -> None:
    labels, groups = study(2).validation()
    assert np.array_equal(labels, data.labels)
    assert np.array_equal(groups, data.groups)


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 broken"])
def test_damaged_validation_rows_are_refused_with_the_file(study: Make, content: bytes | None) -> None:
    opened = study(2)
    path = opened.folder / "val.npz"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"val\.npz, which cannot be read .*`ferhpo search` writes it anew"):
        opened.validation()


def test_validation_rows_are_kept_as_whole_numbers(writer: StudyWriter) -> None:
    writer.keep_validation(np.array([0, 2], np.int32), np.array([5, 5], np.int32))
    labels, groups = writer.reader.validation()
    assert (labels.tolist(), groups.tolist(), labels.dtype) == ([0, 2], [5, 5], np.int64)
