"""Every benchmark script: it still starts, and what it computes beside measuring is right."""

import importlib
import json
import multiprocessing
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import optuna
import pytest
import torch
from conftest import open_writer
from torch.utils.data import DataLoader

from ferhpo.data.cache import prepare
from ferhpo.ensemble.evaluate import METHODS
from ferhpo.search.budget import Limits
from ferhpo.search.job import Job
from ferhpo.search.session import Session
from ferhpo.search.surrogate import fidelity
from ferhpo.search.work import TrialWork
from ferhpo.space.config import TrialConfig
from ferhpo.space.sections import DataSpec
from ferhpo.space.spec import parse_spec, read_spec
from ferhpo.training import losses

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what imports a benchmark script."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def test_the_plain_search_has_the_space_of_the_study_file(load: Any) -> None:
    plain, spec = load("plain_search"), read_spec(BENCHMARKS.parent / "studies" / "fer2013.toml")
    asked: dict[str, Any] = {}
    for loss in ("cross_entropy", "label_smoothing", "focal"):
        trial = optuna.trial.FixedTrial({d.name: d.default for d in spec.space.dimensions} | {"loss": loss})
        plain.space(trial)
        assert trial.params.keys() == spec.space.point({"loss": loss}).keys()
        asked |= trial.distributions
    assert asked == {d.name: d.distribution() for d in spec.space.dimensions}
    assert (spec.budget.epochs, spec.scheduler.grace) == (plain.EPOCHS, plain.GRACE)
    assert spec.scheduler.reduction == plain.REDUCTION


def test_the_plain_search_computes_the_losses_of_ferhpo(load: Any) -> None:
    plain = load("plain_search")
    logits, labels = torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 2, 1, 0])
    for loss in ({"loss": "cross_entropy"}, {"loss": "label_smoothing", "smoothing": 0.1}, {"loss": "focal"}):
        config = {"focal_gamma": 1.5} | loss
        ours = losses.build(TrialConfig.from_params(config), torch.full((3,), 2))(logits, torch.eye(3)[labels])
        torch.testing.assert_close(plain.loss_of(config, logits, labels), ours)


def test_the_plain_search_trains_a_configuration_with_the_usual_loop(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain, versus = load("plain_search"), load("vs_ray_optuna")
    faces = prepare(DataSpec(format="synthetic", rows=100), None, tmp_path)
    versus.write_folders(faces, tmp_path / "folders")
    reported: list[dict[str, float]] = []
    ray = SimpleNamespace(tune=SimpleNamespace(report=reported.append))  # whose import takes seconds
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.setattr(plain, "EPOCHS", 1)
    here = lambda *args, **kwargs: DataLoader(*args, **(kwargs | {"num_workers": 0}))  # noqa: E731
    monkeypatch.setattr(load("usual"), "DataLoader", here)
    config = read_spec(versus.STUDY).space.defaults() | {"width": 4}
    plain.train(config, tmp_path / "folders")
    assert [0 <= r["accuracy"] <= 1 for r in reported] == [True]


def test_a_side_is_judged_by_what_it_had_when_time_was_up(load: Any, tmp_path: Path) -> None:
    versus, log = load("vs_ray_optuna"), tmp_path / "log"
    note = partial(versus.append, log)
    note({"trial": 0, "value": 0.3})
    note({"trial": 0, "value": 0.5})
    note({"trial": 0})
    rows = [json.loads(line) for line in log.read_text().splitlines()]
    until = rows[-1]["at"]
    late = {"at": until + 1, "trial": 1, "value": 0.9}
    assert versus.figures([*rows, late], until) == {"best_val": 0.5, "trials": 1, "epochs": 2}
    assert versus.figures([], until) == {"best_val": 0.0, "trials": 0, "epochs": 0}


def test_the_table_sets_ferhpo_beside_each_other_side(load: Any) -> None:
    made = {"best_val": 0.5, "trials": 2, "epochs": 10, "seconds": 60.0}
    runs = {"ferhpo/0": made, "ferhpo/1": made | {"best_val": 0.7, "epochs": 30}, "plain/0": made}
    found = load("vs_ray_optuna").table(runs)
    assert found["ferhpo"] == {"best_val": 0.6, "trials": 2, "epochs": 20, "seconds": 60.0, "n": 2}
    assert found["plain"]["ferhpo_better_by"] == pytest.approx(0.1)
    assert found["plain"]["ferhpo_epochs_ratio"] == 2


SCRIPTS = sorted(path.stem for path in BENCHMARKS.glob("*.py") if "def main() -> None:" in path.read_text())


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_says_how_it_is_run(
    load: Any, name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        load(name).main()
    assert ended.value.code == 0
    assert "usage:" in capsys.readouterr().out


def test_facts_name_machine_date_and_versions(load: Any) -> None:
    found = load("facts").facts()
    assert found.keys() == {"machine", "date", "versions"}
    assert found["machine"].keys() == {"cpu", "cores", "gpu"}
    assert load("facts").spread([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0, "n": 3}


def test_reading_measures_both_ways(load: Any, tmp_path: Path) -> None:
    reading = load("reading")
    found = reading.measure(reading.made_up(tmp_path / "made-up.csv", rows=60), 1, tmp_path)
    assert found["rows"] == 60
    assert found.keys() == {"rows", "speedup", "ours_s", "usual_s", "second_s", "bad_line_s"}


def test_minutes_without_data_measures_nothing(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["minutes", "--json", str(tmp_path / "out.json")])
    load("minutes").main()
    assert json.loads((tmp_path / "out.json").read_text())["test_accuracy"] is None
    runs = {"1/0": {"test_accuracy": 0.5}, "1/1": {"test_accuracy": 0.6}, "5/0": {"test_accuracy": 0.7}}
    assert load("minutes").by_minutes(runs) == {"1": {"0": 0.5, "1": 0.6}, "5": {"0": 0.7}}
    assert load("minutes").spreads(runs)["1"] == {"median": 0.55, "low": 0.5, "high": 0.6, "n": 2}


def test_minutes_goes_on_with_figures_of_this_machine_alone_and_keeps_when_each_was_made(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    minutes, path = load("minutes"), tmp_path / "out.json"
    here = {"machine": {"cpu": "this"}, "date": "2026-02-02", "versions": {"torch": "2"}}
    then = here | {"date": "2026-01-01", "versions": {"torch": "1"}}
    path.write_text(json.dumps({"runs": {"1/0": {"test_accuracy": 0.5}}, **then}))
    monkeypatch.setattr(
        sys, "argv", ["minutes", "--data", "x.csv", "--minutes", "1", "--seeds", "0", "1", "--json", str(path)]
    )
    monkeypatch.setattr(minutes, "facts", lambda: here)
    monkeypatch.setattr(minutes, "train", lambda *_: {"test_accuracy": 0.6})
    minutes.main()
    found = json.loads(path.read_text())
    assert found["runs"] == {"1/0": then | {"test_accuracy": 0.5}, "1/1": here | {"test_accuracy": 0.6}}
    assert found["test_accuracy_spread"]["1"]["n"] == 2
    monkeypatch.setattr(minutes, "facts", lambda: here | {"machine": {"cpu": "another"}})
    with pytest.raises(SystemExit):
        minutes.main()
    assert "must be of this machine to go on with, it is of {'cpu': 'this'}" in capsys.readouterr().err
    monkeypatch.setattr(minutes, "facts", lambda: here)
    monkeypatch.setattr(sys, "argv", ["minutes", "--data", "other.csv", "--json", str(path)])
    with pytest.raises(SystemExit):
        minutes.main()
    assert "must be of this data to go on with, it is of x.csv" in capsys.readouterr().err
    assert json.loads(path.read_text()) == found


def test_the_sides_beside_ray_go_on_with_runs_of_this_machine_and_these_images_alone(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versus, path = load("vs_ray_optuna"), tmp_path / "out.json"
    here = {"machine": {"cpu": "this"}, "date": "2026-02-02", "versions": {"torch": "2"}}
    then = here | {"date": "2026-01-01"}
    run = {"best_val": 0.5, "trials": 2, "epochs": 10, "seconds": 60.0}
    faces = prepare(DataSpec(format="synthetic", rows=100), None, tmp_path)
    path.write_text(json.dumps({"runs": {"ferhpo/0": run}, "data": faces.fingerprint, **then}))
    monkeypatch.setattr(versus, "facts", lambda: here)
    monkeypatch.setattr(versus, "write_images", lambda *_: faces.folder)
    monkeypatch.setattr(versus, "ran", lambda *_: run)
    asked = ["versus", "--minutes", "1", "--runs", "1", "--json", str(path)]
    monkeypatch.setattr(sys, "argv", asked)
    versus.main()
    found = json.loads(path.read_text())
    assert found["runs"] == {"ferhpo/0": run | then, "plain/0": run | here}
    for other, what in (({"machine": {"cpu": "another"}}, "machine"), ({"data": "f" * 64}, "data")):
        path.write_text(json.dumps(found | other))
        with pytest.raises(SystemExit):
            versus.main()
        assert f"must be of this {what} to go on with" in capsys.readouterr().err


def test_without_a_gpu_its_figures_are_said_to_need_one(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(sys, "argv", ["gpu", "--json", str(tmp_path / "out.json")])
    load("gpu").main()
    assert "need a GPU" in capsys.readouterr().out
    assert json.loads((tmp_path / "out.json").read_text())["trials_an_hour"] is None


def test_trials_an_hour_are_of_whole_trials(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, spec = load("gpu"), read_spec(BENCHMARKS.parent / "studies" / "fer2013.toml")
    data = prepare(DataSpec(format="synthetic", rows=200), None, tmp_path)
    rate = spec.budget.epochs * len(data.part("train").rows) / 60  # a trial a minute
    rates = iter([{1: rate, 2: 2 * rate}, {1: 2 * rate}])
    monkeypatch.setattr(gpu, "probe", lambda *_: SimpleNamespace(rates=next(rates)))
    found = gpu.trials_an_hour(data, 2)
    assert found["1"] == pytest.approx({"median": 90, "low": 60, "high": 120, "n": 2})
    assert found["2"] == pytest.approx({"median": 120, "low": 120, "high": 120, "n": 1})
    assert found.keys() == {"1", "2"}


def test_overhead_trains_nothing_through_a_whole_session(load: Any, tmp_path: Path) -> None:
    overhead = load("overhead")
    spec, data = parse_spec(overhead.SPEC, name="overhead"), overhead.NoData(folder=tmp_path / "data")
    job = Job(study=tmp_path / "overhead", data=data.folder, metric="accuracy", threads=1, device="cpu", provenance={})
    with open_writer(spec, tmp_path, data) as writer:
        session = Session(writer, Limits(trials=2), emit=lambda _: None)
        while (given := session.next_trial()) is not None:
            work = TrialWork(given.number, given.config, given.epoch, job, overhead.no_op)
            while session.epoch(given.number, work.next()):
                pass
        assert [(t.state, len(t.values)) for t in writer.reader.trials()] == [("COMPLETE", overhead.EPOCHS)] * 2


def test_asks_of_the_sampler_are_timed_in_a_study_of_many_trials(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    fits: list[int] = []
    fitted = fidelity._fitted
    monkeypatch.setattr(fidelity, "_fitted", lambda x, y: fits.append(len(x)) or fitted(x, y))
    assert len(load("overhead").asks(60)) == 20
    assert fits
    assert min(fits) > 60, "epochs of trials that were stopped early count"


def test_ensemble_fits_every_method_to_its_made_up_members(load: Any) -> None:
    ensemble = load("ensemble")
    probs_mnc, y_n = ensemble.made_up(2, 60, np.array([0.5, 0.3, 0.2]))
    np.testing.assert_allclose(probs_mnc.sum(2), 1)
    seconds, told = ensemble.all_methods(probs_mnc, y_n)
    assert seconds > 0
    assert told["methods"].keys() == METHODS.keys()
    assert told["chosen"] in METHODS


@pytest.mark.slow  # quantises
def test_onnx_speed_measures_three_ways(load: Any) -> None:
    found = load("onnx_speed").measure(members=2, width=4, rows=64, turns=1, threads=1)
    assert found.keys() >= {"torch_images_per_s", "onnx_images_per_s", "onnx_int8_images_per_s", "onnx_speedup"}


def test_a_recorded_configuration_is_the_same_at_every_start_and_makes_a_family(
    load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, recorded = load("record_curves"), load("recorded")
    monkeypatch.setattr(record, "TRAIN_SHARE", 1)
    assert record.configuration(3) == record.configuration(3)
    data = prepare(DataSpec(format="synthetic", rows=100, size=24), None, tmp_path)
    line = record.record(3, record.fewer(data), epochs=1)
    assert (line["number"], len(line["values"]), len(line["seconds"])) == (3, 1, 1)
    trials = [line | {"params": record.configuration(n)[1], "values": [n / 10] * recorded.EPOCHS} for n in range(6)]
    instance = recorded.family(trials)(0)
    curve = instance.curve(trials[0]["params"])
    assert curve.shape == (recorded.EPOCHS,)
    assert 0 <= curve[-1] <= 0.5
    recorded.write(trials, tmp_path / "curves.gz")
    assert recorded.read(tmp_path / "curves.gz") == trials


@pytest.mark.parametrize("method", ["random", "random+asha", "tpe+asha", "ours"])
def test_a_simulated_search_ends_with_a_regret(load: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    simulation, curves = load("simulation"), load("curves")
    monkeypatch.setattr(simulation, "BUDGETS", (1, 2))
    instance = curves.FAMILIES["conditional"](0)
    against = simulation.scale(instance, draws=60, steps=30)
    found = simulation.regrets(instance, simulation.METHODS[method], 0, against)
    assert len(found) == 2
    assert all(np.isfinite(found))


def test_the_two_gradients_of_a_layer_are_the_same(load: Any) -> None:
    bench = load("weight_gradient")
    found = bench.of_layer(3, 5, 6, repeat=2, batch=4)
    assert found["speedup"]["n"] == 2
    assert found["error"].keys() == {"ours", "torch"}
    assert max(found["error"].values()) < 1e-5
    assert bench.of_net(TrialConfig(width=4, image_size=8, batch_size=4), 1)["n"] == 1


def test_every_family_has_curves_of_its_length(load: Any) -> None:
    for family in load("curves").FAMILIES.values():
        instance = family(0)
        params = instance.suggest(optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0)).ask())
        assert instance.reported(params).shape == (instance.epochs,)
        assert instance.cost(params) > 0


def test_the_simulation_compares_ours_with_each_other_method(load: Any) -> None:
    sim = load("search_sim")
    regret = {name: np.full((3, 4), 0.5) for name in sim.METHODS} | {"ours": np.full((3, 4), 0.2)}
    found = sim.figures({"smooth": regret})
    assert found["vs_random_asha"] == pytest.approx(0.4)
    assert found["regret"]["smooth"]["ours"]["25"] == 0.2
    assert found["ours_less"]["tpe"]["difference"]["4"] == pytest.approx(-0.3)
    assert "ours" in sim.table("smooth", regret)


def test_the_simulation_runs_what_it_does_not_know_yet(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    sim = load("search_sim")
    here = ThreadPoolExecutor(1)
    monkeypatch.setattr(sim, "ProcessPoolExecutor", lambda *_: here)
    asked: list[tuple[str, int, list[str]]] = []
    monkeypatch.setattr(sim, "one", lambda *of: asked.append(of) or {m: [0.1] * 4 for m in of[2]})
    every, others = list(sim.METHODS), [m for m in sim.METHODS if m != "ours"]
    known = {"smooth/0": {m: [0.3] * 4 for m in every}, "smooth/1": {m: [0.3] * 4 for m in others}}
    kept: list[int] = []
    found = sim.simulate(["smooth", "flat"], 2, 1, known, lambda: kept.append(len(known)))
    assert asked == [("smooth", 1, ["ours"]), ("flat", 0, every), ("flat", 1, every)]
    assert kept == [2, 3, 4]
    assert found["smooth"]["ours"].mean(0).tolist() == pytest.approx([0.2] * 4)


def test_the_trainer_takes_some_rows(load: Any, tmp_path: Path) -> None:
    trainer = load("trainer")
    data = prepare(DataSpec(format="synthetic", rows=200), None, tmp_path)
    few = trainer.some(data, 40)
    assert (len(few.part("train").rows), len(few.part("val").rows)) == (40, len(data.part("val").rows))
    assert len(trainer.feed_seconds(TrialConfig(image_size=16, batch_size=16), data, 2)) == 2


def test_a_side_has_a_process_of_its_own_that_starts_others_as_a_script_does(load: Any) -> None:
    with load("turns").beside(partial(partial, multiprocessing.get_start_method)) as turn:
        assert turn() == multiprocessing.get_start_method()  # not "spawn", as it was started itself
    with load("turns").beside(partial(partial, os.getpid)) as turn:
        assert turn() == turn() != os.getpid()


def test_the_time_to_a_target_is_that_of_all_epochs_up_to_it(load: Any) -> None:
    trainer, epochs = load("trainer"), [(10.0, 0.5), (10.0, 0.61), (10.0, 0.7)]

    assert trainer.time_to(0.6, "ours", iter(epochs)) == (20.0, [0.5, 0.61])
    assert trainer.time_to(0.9, "usual", iter(epochs)) == (None, [0.5, 0.61, 0.7])
    assert trainer.time_to(0.9, "usual", iter(epochs), cap=15.0) == (None, [0.5, 0.61])


def test_what_a_benchmark_counts_as_a_step_keeps_its_memory_or_not(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kept_memory, kept = load("kept_memory"), list[bool]()
    monkeypatch.setattr(kept_memory.heap, "keep", lambda: kept.append(True))
    config = TrialConfig(width=4, batch_size=8, image_size=16)
    kept_memory.steps(config, torch.get_num_threads(), keeps=False)()
    assert not kept
    kept_memory.steps(config, torch.get_num_threads(), keeps=True)()
    assert kept


@pytest.mark.slow  # trains a net at its true size, both ways
def test_the_trainer_measures_both_loops(load: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = load("trainer")
    monkeypatch.setattr(trainer, "matmul", lambda: 1.0)
    data = prepare(DataSpec(format="synthetic", rows=200), None, tmp_path)
    found = trainer.speed(data, tmp_path, 128, 1)
    assert found["speedup"]["median"] > 0
    assert found["augment_share"]["n"] == 1


@pytest.mark.parametrize(("flags", "kind"), [("avx2", "float32"), ("avx512f avx512_bf16", "bfloat16")])
def test_the_product_that_a_step_stands_beside_is_not_emulated(
    load: Any, monkeypatch: pytest.MonkeyPatch, flags: str, kind: str
) -> None:
    trainer, kinds = load("trainer"), set[str]()
    monkeypatch.setattr(trainer, "cpu", lambda: flags)
    monkeypatch.setattr(trainer, "device", lambda: "cpu")
    monkeypatch.setattr(trainer.torch, "mm", lambda a, _: kinds.add(str(a.dtype)))
    trainer.matmul(8)
    assert kinds == {f"torch.{kind}"}
