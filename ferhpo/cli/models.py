"""`ferhpo models`: which architectures there are."""

from dataclasses import asdict
from typing import Annotated

import typer

from ferhpo.cli.options import Format, FormatOption
from ferhpo.cli.output import print_json, print_table, say
from ferhpo.errors import UsageError, did_you_mean

SHOWN = 60


def models(
    pattern: Annotated[
        str, typer.Argument(help="Part of a name, or a pattern like 'timm:resnet*'.", show_default="ours")
    ] = "",
    *,
    output: FormatOption = Format.table,
) -> None:
    """List architectures: ours, and timm's and torchvision's by pattern."""
    from ferhpo.models.names import LIBRARIES, OWN
    from ferhpo.models.registry import architectures

    found = architectures(pattern)
    if not found:
        near = did_you_mean(pattern, [*OWN, *(f"{library}:*" for library in LIBRARIES)])
        msg = f"a pattern must fit the name of an architecture, got '{pattern}'{near}"
        raise UsageError(msg)
    if output is Format.json:
        print_json([asdict(a) for a in found])
        return
    print_table(("architecture", "parameters", ""), [(a.name, a.parameters, a.doc) for a in found[:SHOWN]])
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more; --format json has them all")
    if not pattern:
        say("other libraries': arch = 'timm:NAME' or 'torchvision:NAME'; `ferhpo models 'timm:mobilenet*'` lists them")
