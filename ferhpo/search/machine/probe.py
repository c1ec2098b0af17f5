"""A training's steps in a process of its own, timed on demand: `timing` runs several of them at the same time.

    python -m ferhpo.search.machine.probe DATA DEVICE CONFIG

It answers in lines of JSON: once ready its memory, then to each line ``THREADS`` an empty answer once steps with so
many threads are warm, and to each line ``go SECONDS`` its images a second. It ends with its input, so never outlives
whoever started it; what goes wrong is an answer too.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

import torch

from ferhpo.data.cache import open_prepared
from ferhpo.errors import one_line
from ferhpo.models import registry, user
from ferhpo.space.config import TrialConfig
from ferhpo.training import cost, heap
from ferhpo.training.feed import Feed
from ferhpo.training.images import Preprocessing
from ferhpo.training.predict import batch_size, probabilities
from ferhpo.training.step import for_timing

CONTEXT_BYTES = 700 << 20  # of GPU memory that CUDA and its libraries take for a process, beside torch's own


class Steps:
    """Training steps of a config, one after the other.

    Args:
        config: what would be trained.
        folder: of the prepared images.
        device: cpu or cuda.
    """

    def __init__(self, config: TrialConfig, folder: Path, device: str) -> None:
        heap.keep()  # as trials do
        user.trust(config.arch)
        data = open_prepared(folder)
        self._update = for_timing(config, data, device)
        self._preprocessing, self._val = Preprocessing.of(config, data), data.part("val")
        feed = Feed(config, data, self._preprocessing, device, self._update.precision.memory_format)
        self._batches = feed.batches(1, lambda: True)
        self._device, self._lr, self._steps = device, config.lr, 0

    def rate(self, seconds: float) -> float:
        """Return images a second over steps that last at least so long."""
        seen, start = 0, time.perf_counter()
        while True:
            seen += self._step()
            if time.perf_counter() - start >= seconds:
                if self._device != "cpu":
                    torch.cuda.synchronize()
                return seen / (time.perf_counter() - start)

    def memory(self) -> dict[str, int]:
        """Return the bytes that this process came to need, of the GPU as well, and what is free there beside it.

        One batch is validated first: on a GPU it may have many more images than a training batch.
        """
        rows = self._val.rows[: batch_size(self._preprocessing, self._device)]
        probabilities(
            self._update.model,
            self._val.images,
            self._preprocessing,
            rows=rows,
            device=self._device,
            precision=self._update.precision,
        )
        registry.train_mode(self._update.model)
        used = {"bytes": int(cost.peak_mib("cpu") * cost.MIB)}
        if self._device == "cpu":
            return used
        own = torch.cuda.max_memory_reserved() + CONTEXT_BYTES
        return used | {"gpu_bytes": own, "gpu_free": torch.cuda.mem_get_info()[0]}

    def _step(self) -> int:
        x, targets = next(self._batches)
        self._update(x, targets, lr=self._lr, t=self._steps)
        self._steps += 1
        return len(x)


def main() -> None:
    """Answer what the input asks, until it ends."""
    folder, device, config = sys.argv[1:]
    try:
        torch.set_num_threads(1)  # as many in every process, so that the first one's choice of precision serves all
        steps = Steps(TrialConfig.from_json(config), Path(folder), device)
        steps.rate(0)
        _answer(steps.memory())
        for line in sys.stdin:
            match line.split():
                case ["go", seconds]:
                    _answer({"rate": steps.rate(float(seconds))})
                case [threads]:
                    torch.set_num_threads(int(threads))
                    steps.rate(0)
                    _answer({})
    except Exception as error:  # noqa: BLE001 - whoever asked decides what an error means
        _answer({"error": one_line(error)})


def _answer(value: dict[str, Any]) -> None:
    print(json.dumps(value), flush=True)  # noqa: T201 - stdout is where it answers


if __name__ == "__main__":
    main()
