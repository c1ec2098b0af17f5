from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ferhpo.ensemble.combine import Combination, Meta
from ferhpo.ensemble.infer import TTA, Ensemble
from ferhpo.export.graph import Combine, Graph
from tests.export.conftest import SIZE, Write

M, N, C = 3, 5, 4


def combinations() -> dict[str, Combination]:
    rng = np.random.default_rng(0)
    weights_m = np.array([0.5, 0.3, 0.2])
    meta = Meta(coef_cmk=rng.normal(0, 0.4, (C, M, C)), bias_c=rng.normal(0, 0.2, C), strength=0.1)
    return {
        "mean": Combination(method="weighted", weights_m=weights_m, temperature=1.7),
        "vote": Combination(method="majority", weights_m=np.full(M, 1 / M)),
        "log-linear": Combination(method="logistic", weights_m=weights_m, meta=meta, temperature=0.6),
    }


@pytest.mark.parametrize("rule", combinations())
@given(logits=arrays(float, (M, N, C), elements=st.floats(-8, 8)))
@settings(deadline=None, max_examples=40)
def test_every_rule_gives_what_numpy_gives(rule: str, logits: np.ndarray) -> None:
    combination = combinations()[rule]
    assert combination.rule == rule
    odds = np.exp(logits + np.random.default_rng(1).normal(0, 0.1, logits.shape))  # no two equally likely
    probs = (odds / odds.sum(2, keepdims=True)).astype(np.float32)
    got = Combine(combination)(torch.from_numpy(probs)).numpy()
    assert np.allclose(got, combination.predict(probs.astype(float)), atol=2e-5)


@pytest.mark.parametrize("tta", TTA)
def test_the_module_says_what_the_ensemble_says(tta: str, write_ensemble: Write, tmp_path: Path) -> None:
    ensemble = Ensemble.load(write_ensemble(tmp_path / "ensemble", tta=tta))
    images = np.random.default_rng(0).integers(256, size=(6, SIZE, SIZE, 1), dtype=np.uint8)
    with torch.inference_mode():
        got = Graph(ensemble)(torch.from_numpy(images)).numpy()
    wanted = ensemble.probabilities(images)
    assert np.allclose(got, wanted, atol=5e-5)
    assert wanted.std(0).max() > 0.01, "images that are told apart"
