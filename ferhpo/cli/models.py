"""`ferhpo models`: which architectures there are."""

from dataclasses import asdict
from typing import Annotated

import typer

from ferhpo.cli.options import Format, FormatOption
from ferhpo.cli.output import print_json, print_table, say

SHOWN = 60


def models(
    pattern: Annotated[
        str, typer.Argument(help="Part of a name, or a pattern like 'timm:resnet*'.", show_default="ours")
    ] = "",
    *,
    output: FormatOption = Format.table,
) -> None:
    """List architectures: ours, and timm's and torchvision's by pattern."""
    from ferhpo.models.registry import architectures

    found = architectures(pattern)
    if output is Format.json:
        print_json([asdict(a) for a in found])
        return
    print_table(("architecture", "parameters", ""), [(a.name, a.parameters, a.doc) for a in found[:SHOWN]])
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more; --format json has them all")
    if not pattern:
        say("other libraries': arch = 'timm:NAME' or 'torchvision:NAME'; `ferhpo models 'timm:mobilenet*'` lists them")
