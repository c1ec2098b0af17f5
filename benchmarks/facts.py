"""What every benchmark writes beside its figures, how it says a spread, and the study that several look at."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from ferhpo._versions import versions

STUDY = Path(__file__).parents[1] / "studies" / "fer2013.toml"


def facts() -> dict[str, Any]:
    """Return machine, date and versions."""
    return {
        "machine": {"cpu": cpu(), "cores": os.cpu_count(), "gpu": gpu()},
        "date": date.today().isoformat(),
        "versions": versions(),
    }


def known(path: Path, here: Mapping[str, Any], data: str) -> dict[str, Any]:
    """Return the runs that stand in a file, each with its own date and versions.

    Args:
        path: what an earlier call wrote.
        here: `facts` of this one.
        data: what tells its images from others.

    Raises:
        ValueError: they were made on another machine, or with other images.
    """
    found = json.loads(path.read_text())
    for what, then, now in (("machine", found["machine"], here["machine"]), ("data", found.get("data", data), data)):
        if then != now:
            msg = f"{path} must be of this {what} to go on with, it is of {then}; name another file"
            raise ValueError(msg)
    facts_then = {name: found[name] for name in here}
    return {key: facts_then | run for key, run in found.get("runs", {}).items()}


def cpu() -> str:
    """Return the processor's name and which of the instructions that matter here it has."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    lines = dict(line.split("\t: ", 1) for line in text.split("\n\n")[0].splitlines() if "\t: " in line)
    found = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in text]
    return f"{lines.get('model name', platform.machine())} ({' '.join(found)})"


def gpu() -> str | None:
    """Return the first GPU's name, None where there is none."""
    import torch

    return torch.cuda.get_device_name(0) if torch.cuda.is_available() else None


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, lowest, highest and n of repeated measurements."""
    return {"median": median(values), "low": min(values), "high": max(values), "n": len(values)}


def said(found: Mapping[str, float]) -> str:
    """Return a `spread` in words."""
    return f"{found['median']:.4g} ({found['low']:.4g} to {found['high']:.4g}, n = {found['n']})"
