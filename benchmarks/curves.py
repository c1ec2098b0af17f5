"""Families of learning curves for `search_sim.py`: spaces, and the value of a configuration after each epoch.

A family makes instances by number: optimum, weights and shapes of an instance are drawn from a generator of its own, so
two instances of a family are two problems. Values are true ones, without noise; what a trial reports is the true value
plus normal noise of `Family.noise`, drawn from the instance, the configuration and the epoch, so that every method that
tries a configuration sees the same. u(x) is a parameter on the unit interval, in the logarithm where its range is.

A surface S(u) is 1 - sum_i w_i |u_i - o_i|^p_i / |worst|^p_i, o_i from [0.1, 0.9], p_i from {1, 1.5, 2}, w from a flat
Dirichlet distribution: 1 at its optimum o, 0 at the worst corner.

smooth       a(c) - (a(c) - 0.1) exp(-r(c) e), a = 0.3 + 0.6 S^2, r between 0.1 and 0.6 by a second surface.
crossing     power law: a(c) - b e^-k(c) with rate and asymptote pulled apart by the learning rate: fast ones end low.
conditional  as smooth; the optimiser and the architecture bring dimensions of their own, each with its own surface.
overfit      a loss, minimised: falls to a floor, rises again after an epoch that depends on the regularisation.
costs        as crossing, width 8 to 128: wide nets end higher, learn later, and an epoch costs up to 8 times as much.
flat         0.1 at every epoch on about 70 % of the space (too large a step diverges, too small a one stands still);
             values in steps of 0.01.
choices      eight choices and one range; a table of effects of each choice and of pairs of choices; late bloomers.
many         14 parameters, of which 3 matter and two more a little; noise of 0.02.
stages       the curve rises in two steps, the second at an epoch that depends on the configuration.
ledges       values that jump: end and rate are sums over 40 boxes, each a threshold or half of the choices in three of
             ten parameters; 0.25 throughout outside a band of the learning rate that the choices shift; 12 epochs.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from optuna.trial import BaseTrial

Params = Mapping[str, Any]
EPOCHS = 27


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One problem.

    Args:
        epochs: of a trial that is never stopped.
        noise: standard deviation of what is reported around the true value.
        maximize: direction.
        suggest: asks a trial for its parameters, those that apply.
        curve: the true values after epochs 1 to ``epochs``, by parameters.
        cost: seconds of virtual time that an epoch takes.
        key: what the noise is drawn from, beside parameters and epoch.
    """

    suggest: Callable[[BaseTrial], Params]
    curve: Callable[[Params], np.ndarray]
    key: int
    epochs: int = EPOCHS
    noise: float = 0.01
    maximize: bool = True
    cost: Callable[[Params], float] = lambda _params: 1.0

    def reported(self, params: Params) -> np.ndarray:
        """Return what a trial reports after each epoch: the curve with its noise."""
        text = repr((self.key, sorted(params.items())))
        rng = np.random.default_rng(int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big"))
        return self.curve(params) + rng.normal(0, self.noise, self.epochs)


class Surface:
    """The function S of this module's first lines.

    Args:
        rng: draws optimum, exponents and weights.
        names: the parameters, given by their place on the unit interval; others are not looked at.
    """

    def __init__(self, rng: np.random.Generator, *names: str) -> None:
        self.names, n = names, len(names)
        self.optimum, self.power = rng.uniform(0.1, 0.9, n), rng.choice([1.0, 1.5, 2.0], n)
        self.weight = rng.dirichlet(np.ones(n))

    def __call__(self, u: Params) -> float:
        """Return S at the parameters that are there; one that is absent costs nothing."""
        there = [i for i, name in enumerate(self.names) if name in u]
        at = np.array([u[self.names[i]] for i in there])
        o, p = self.optimum[there], self.power[there]
        return float(1 - self.weight[there] @ (np.abs(at - o) / np.maximum(o, 1 - o)) ** p)


def unit(value: float, low: float, high: float, *, log: bool = False) -> float:
    """Return the place of a value on the unit interval."""
    if log:
        value, low, high = np.log(value), np.log(low), np.log(high)
    return float((value - low) / (high - low))


LR = (1e-4, 1.0)
DECAY = (1e-6, 1e-2)
STEPS = np.arange(1, EPOCHS + 1)


def basic(trial: BaseTrial) -> dict[str, Any]:
    """Suggest five parameters as a small net has them."""
    return {
        "lr": trial.suggest_float("lr", *LR, log=True),
        "decay": trial.suggest_float("decay", *DECAY, log=True),
        "dropout": trial.suggest_float("dropout", 0.0, 0.6),
        "width": trial.suggest_int("width", 8, 128, log=True),
        "batch": trial.suggest_categorical("batch", [32, 64, 128, 256]),
    }


def placed(params: Params) -> dict[str, float]:
    """Return parameters on the unit interval."""
    u = {k: float(v) for k, v in params.items() if not isinstance(v, str)}
    ranges = {"lr": (*LR, True), "decay": (*DECAY, True), "width": (8, 128, True), "batch": (32, 256, True)}
    u |= {k: unit(u[k], low, high, log=log) for k, (low, high, log) in ranges.items() if k in u}
    return u | ({"dropout": u["dropout"] / 0.6} if "dropout" in u else {})


def smooth(seed: int) -> Instance:
    """Return an instance of the family ``smooth``."""
    rng = np.random.default_rng(seed)
    names = ("lr", "decay", "dropout", "width", "batch")
    end, rate = Surface(rng, *names), Surface(rng, *names)

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        a, r = 0.3 + 0.6 * end(u) ** 2, 0.1 + 0.5 * rate(u)
        return a - (a - 0.1) * np.exp(-r * STEPS)

    return Instance(suggest=basic, curve=curve, key=seed)


def crossing(seed: int) -> Instance:
    """Return an instance of the family ``crossing``."""
    rng = np.random.default_rng(seed)
    end, rate = Surface(rng, "lr", "decay", "dropout", "width", "batch"), Surface(rng, "decay", "width", "batch")
    best = rng.uniform(0.2, 0.5)  # learning rate of the best end, on the unit interval

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        a = 0.25 + 0.4 * end(u) ** 2 + 0.3 * (1 - abs(u["lr"] - best))
        k = 0.15 + 1.2 * max(0.0, u["lr"] - best + 0.3) + 0.4 * rate(u)
        return a - (a - 0.1) * STEPS**-k

    return Instance(suggest=basic, curve=curve, key=seed)


def conditional(seed: int) -> Instance:
    """Return an instance of the family ``conditional``."""
    rng = np.random.default_rng(seed)
    shared = Surface(rng, "decay", "batch")
    optimizers = {
        "sgd": Surface(rng, "lr", "momentum"),
        "adam": Surface(rng, "lr", "beta"),
        "plain": Surface(rng, "lr"),
    }
    archs = {"vgg": Surface(rng, "depth", "dropout"), "resnet": Surface(rng, "width"), "mlp": Surface(rng, "hidden")}
    bonus = {name: rng.uniform(0.7, 1.0) for name in (*optimizers, *archs)}
    rate = Surface(rng, "lr", "decay", "batch")

    def suggest(trial: BaseTrial) -> Params:
        params = basic(trial)
        del params["width"], params["dropout"]  # asked, as a script does, but not looked at
        params["optimizer"] = trial.suggest_categorical("optimizer", list(optimizers))
        if params["optimizer"] == "sgd":
            params["momentum"] = trial.suggest_float("momentum", 0.0, 1.0)
        elif params["optimizer"] == "adam":
            params["beta"] = trial.suggest_float("beta", 0.0, 1.0)
        params["arch"] = trial.suggest_categorical("arch", list(archs))
        if params["arch"] == "vgg":
            params["depth"] = trial.suggest_int("depth", 1, 6)
            params["dropout"] = trial.suggest_float("vgg_dropout", 0.0, 0.6)
        elif params["arch"] == "resnet":
            params["width"] = trial.suggest_int("resnet_width", 8, 128, log=True)
        else:
            params["hidden"] = trial.suggest_float("hidden", 0.0, 1.0)
        return params

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        if "depth" in u:
            u["depth"] = (u["depth"] - 1) / 5
        optimizer, arch = params["optimizer"], params["arch"]
        score = 0.4 * bonus[optimizer] * optimizers[optimizer](u) + 0.4 * bonus[arch] * archs[arch](u) + 0.2 * shared(u)
        a, r = 0.2 + 0.7 * score**2, 0.08 + 0.4 * rate(u)
        return a - (a - 0.1) * np.exp(-r * STEPS)

    return Instance(suggest=suggest, curve=curve, key=seed)


def overfit(seed: int) -> Instance:
    """Return an instance of the family ``overfit``."""
    rng = np.random.default_rng(seed)
    end, rate = Surface(rng, "lr", "decay", "dropout", "width", "batch"), Surface(rng, "lr", "batch")

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        turn = 4 + 30 * (0.6 * u["dropout"] + 0.4 * u["decay"])  # epoch from which the loss rises
        floor, r = 0.3 + 1.2 * (1 - end(u)), 0.1 + 0.5 * rate(u)
        return floor + (2.3 - floor) * np.exp(-r * STEPS) + 0.015 * np.maximum(0, STEPS - turn)

    return Instance(suggest=basic, curve=curve, key=seed, noise=0.02, maximize=False)


def costs(seed: int) -> Instance:
    """Return an instance of the family ``costs``."""
    rng = np.random.default_rng(seed)
    end, best = Surface(rng, "lr", "decay", "dropout", "batch"), rng.uniform(0.3, 0.7)

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        a = 0.2 + 0.4 * end(u) ** 2 + 0.25 * u["width"] - 0.2 * abs(u["lr"] - best)
        k = 1.0 - 0.5 * u["width"] + 0.3 * u["lr"]
        return a - (a - 0.1) * STEPS**-k

    return Instance(suggest=basic, curve=curve, key=seed, cost=lambda params: 0.5 + 3.5 * (params["width"] - 8) / 120)


def flat(seed: int) -> Instance:
    """Return an instance of the family ``flat``."""
    rng = np.random.default_rng(seed)
    end, rate = Surface(rng, "decay", "dropout", "width", "lr"), Surface(rng, "lr", "width")
    too_large, lean = rng.uniform(0.55, 0.7), rng.uniform(-0.2, 0.2)

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        edge = too_large + lean * u["width"] + 0.1 * u["batch"]
        if not edge - 0.3 < u["lr"] < edge:
            return np.full(EPOCHS, 0.1)
        a, r = 0.3 + 0.6 * end(u) ** 2, 0.05 + 0.4 * rate(u)
        return np.round(a - (a - 0.1) * np.exp(-r * STEPS), 2)

    return Instance(suggest=basic, curve=curve, key=seed, noise=0.005)


def choices(seed: int) -> Instance:
    """Return an instance of the family ``choices``."""
    rng = np.random.default_rng(seed)
    sizes = (2, 2, 3, 3, 4, 4, 5, 6)
    names = [f"choice{i}" for i in range(len(sizes))]
    effects = [rng.normal(0, 1, n) for n in sizes]
    pairs = [(i, j, rng.normal(0, 0.7, (sizes[i], sizes[j]))) for i, j in ((0, 7), (2, 4), (3, 6), (1, 5))]
    late, best = [rng.uniform(0, 1, n) for n in sizes], rng.uniform(0.2, 0.8)

    def suggest(trial: BaseTrial) -> Params:
        values = {n: [f"v{j}" for j in range(k)] for n, k in zip(names, sizes, strict=True)}
        picked = {n: trial.suggest_categorical(n, values[n]) for n in names}
        return picked | {"lr": trial.suggest_float("lr", *LR, log=True)}

    def curve(params: Params) -> np.ndarray:
        at = [int(params[n][1:]) for n in names]
        score = sum(e[i] for e, i in zip(effects, at, strict=True)) + sum(t[at[i], at[j]] for i, j, t in pairs)
        score -= 6 * abs(placed(params)["lr"] - best)
        a = 0.1 + 0.85 / (1 + np.exp(-score / 3))
        middle = 1 + 12 * np.mean([x[i] for x, i in zip(late, at, strict=True)]) ** 2 * 2
        return 0.1 + (a - 0.1) * STEPS**2 / (STEPS**2 + middle**2)

    return Instance(suggest=suggest, curve=curve, key=seed)


def many(seed: int) -> Instance:
    """Return an instance of the family ``many``."""
    rng = np.random.default_rng(seed)
    names = [f"x{i}" for i in range(14)]
    order = list(rng.permutation(names))
    main, little, rate = Surface(rng, *order[:3]), Surface(rng, *order[3:5]), Surface(rng, *order[2:6])

    def suggest(trial: BaseTrial) -> Params:
        return {name: trial.suggest_float(name, 0.0, 1.0) for name in names}

    def curve(params: Params) -> np.ndarray:
        a, k = 0.2 + 0.6 * main(params) ** 2 + 0.1 * little(params), 0.2 + 0.8 * rate(params)
        return a - (a - 0.1) * STEPS**-k

    return Instance(suggest=suggest, curve=curve, key=seed, noise=0.02)


def stages(seed: int) -> Instance:
    """Return an instance of the family ``stages``."""
    rng = np.random.default_rng(seed)
    first, second = Surface(rng, "lr", "batch", "width"), Surface(rng, "lr", "decay", "dropout")
    when = Surface(rng, "lr", "decay", "width")

    def curve(params: Params) -> np.ndarray:
        u = placed(params)
        jump = 1 / (1 + np.exp(-(STEPS - 3 - 15 * (1 - when(u)))))
        return 0.1 + 0.35 * first(u) * (1 - np.exp(-0.6 * STEPS)) + 0.45 * second(u) ** 2 * jump

    return Instance(suggest=basic, curve=curve, key=seed)


def ledges(seed: int) -> Instance:
    """Return an instance of the family ``ledges``."""
    rng = np.random.default_rng(seed)
    ranges = ("lr", "decay", "dropout", "augment")
    sizes = {"batch": 4, "optimizer": 2, "arch": 3, "loss": 2, "schedule": 2, "ema": 2}
    lean = {name: rng.uniform(-0.12, 0.12, n) for name, n in sizes.items()}
    middle, width = rng.uniform(0.35, 0.6), rng.uniform(0.2, 0.3)
    steps = np.arange(1, 13)

    def side(name: str) -> Callable[[float], bool]:
        if name in sizes:
            among = set(rng.permutation(sizes[name])[: max(1, sizes[name] // 2)].tolist())
            return lambda at: at in among
        threshold, below = rng.uniform(0.2, 0.8), rng.random() < 0.5
        return lambda at: (at < threshold) == below

    boxes = []
    for _ in range(40):
        rule = {name: side(name) for name in rng.choice([*ranges, *sizes], 3, replace=False)}
        boxes.append((rule, *rng.normal(0, 1, 2)))

    def suggest(trial: BaseTrial) -> Params:
        params: dict[str, Any] = {
            "lr": trial.suggest_float("lr", *LR, log=True),
            "decay": trial.suggest_float("decay", *DECAY, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.6),
            "augment": trial.suggest_float("augment", 0.0, 1.0),
        }
        return params | {name: trial.suggest_categorical(name, list(range(n))) for name, n in sizes.items()}

    def curve(params: Params) -> np.ndarray:
        u = {**params, **placed({name: params[name] for name in ranges})}
        if abs(u["lr"] - middle - sum(lean[name][u[name]] for name in sizes)) >= width / 2:
            return np.full(len(steps), 0.25)
        inside = [effects for rule, *effects in boxes if all(holds(u[name]) for name, holds in rule.items())]
        end, rate = np.sum([(0.0, 0.0), *inside], axis=0)
        a, r = 0.25 + 0.25 / (1 + np.exp(-end / 2.5)), 0.1 + 0.4 / (1 + np.exp(-rate / 2))
        return a - (a - 0.25) * np.exp(-r * steps)

    return Instance(suggest=suggest, curve=curve, key=seed, epochs=len(steps), noise=0.013)


FAMILIES: Mapping[str, Callable[[int], Instance]] = {
    made.__name__: made for made in (smooth, crossing, conditional, overfit, costs, ledges, flat, choices, many, stages)
}
