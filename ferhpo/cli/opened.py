"""What several commands open: the sealed test split."""

from typing import TYPE_CHECKING

from ferhpo import __version__
from ferhpo.cli.options import command_line
from ferhpo.cli.output import say

if TYPE_CHECKING:
    from ferhpo.data.cache import Part, Prepared
    from ferhpo.study.study import Study


def opened_test(study: "Study", prepared: "Prepared") -> "tuple[Part, int]":
    """Open the sealed test split: record that in the study, say so, and only then read.

    Returns:
        The test rows, and how many times they now were opened.
    """
    times = study.record_opening(command_line(), __version__)
    say(f"the sealed test split of study '{study.name}' is opened (now {times} times)")
    return prepared.open_test(), times
