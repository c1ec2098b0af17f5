"""Reading fer2013.csv: ferhpo beside pandas with `str.split` a row, in turns in one run.

    uv run python benchmarks/reading.py [--data fer2013.csv] [--repeat 3] [--json FILE]

Three figures: the first reading (from the file to uint8 images, labels and splits), the second one (what `prepare` kept
is opened again), and how long a bad line near the end takes to be named. Without --data a csv of 2,000 random images
serves.
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from facts import facts, spread
from turns import in_turns, ratio

from ferhpo._atomic import write_json
from ferhpo.data.cache import prepare
from ferhpo.data.formats import fer2013
from ferhpo.errors import DataError
from ferhpo.space.sections import DataSpec

SPEC = DataSpec()


def usual(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read the csv as most notebooks do."""
    table = pd.read_csv(path)
    images = [np.array(list(map(int, text.split(" "))), np.uint8).reshape(48, 48, 1) for text in table["pixels"]]
    return np.stack(images), table["emotion"].to_numpy()


def made_up(path: Path, rows: int = 2000) -> Path:
    """Write a csv of random images."""
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("emotion,pixels,Usage\n")
        for i in range(rows):
            pixels = " ".join(map(str, rng.integers(0, 256, 2304)))
            file.write(f"{i % 7},{pixels},{'Training' if i % 9 else 'PublicTest'}\n")
    return path


def with_bad_line(path: Path, to: Path) -> Path:
    """Copy a csv and put a letter into the last pixel but one of its last row."""
    content = path.read_bytes().rstrip(b"\n")
    place = content.rindex(b" ")
    to.write_bytes(content[:place] + b"x" + content[place:] + b"\n")
    return to


def named(path: Path) -> None:
    """Read a csv that must be refused."""
    try:
        fer2013.read(path, SPEC)
    except DataError:
        return
    msg = f"{path} was read, and it has a bad line"
    raise AssertionError(msg)


def measure(path: Path, repeat: int, folder: Path) -> dict[str, Any]:
    """Return the figures; the two ways of reading take turns."""
    raw, (images, labels) = fer2013.read(path, SPEC), usual(path)
    assert (raw.images == images).all()
    assert [raw.classes[i] for i in raw.labels] == [fer2013.EXPRESSIONS[i] for i in labels]
    bad = with_bad_line(path, folder / "bad.csv")
    prepare(SPEC, path, folder / "cache")
    ways = {
        "ours": lambda: fer2013.read(path, SPEC),
        "usual": lambda: usual(path),
        "second": lambda: prepare(SPEC, path, folder / "cache"),
        "bad_line": lambda: named(bad),
    }
    times = in_turns(ways, repeat)
    found = {f"{name}_s": spread(values) for name, values in times.items()}
    return {"rows": len(raw.labels), "speedup": ratio(times["usual"], times["ours"]), **found}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        figures = measure(args.data or made_up(folder / "made-up.csv"), args.repeat, folder)
    for key, value in figures.items():
        print(
            f"{key:12}",
            value if isinstance(value, int) else f"{value['median']:.3f} ({value['low']:.3f}-{value['high']:.3f})",
        )
    if args.json:
        write_json(args.json, figures | facts())


if __name__ == "__main__":
    main()
