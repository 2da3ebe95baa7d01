"""How many gradients the demo's verdicts cost, against the protocol that one would write by hand."""

import diffrax
import jax.random as jr

import sdesgd as sg
from experiments.bench.timing import Row
from experiments.sgd_vs_sde.config import Config, build
from sdesgd.comparison.cost import gradients_per_replica
from sdesgd.evidence import replicas_needed

_SUBSTEPS = 8


def gradients(rounds: int) -> tuple[list[Row], list[str]]:
    """Both protocols on the demo's problem; gradients ∇ℓ_i are counted, those of the observables too.

    By hand: equal independent arms of SGD, Gaussian SGD and Euler steps of the SDE with eight substeps, of as many
    replicas as a fixed design needs for a power of 80 % at the margin.

    Args:
        rounds: not used: counts don't vary.
    """
    del rounds
    config = Config()
    problem, observables = build(config, jr.split(jr.key(config.seed))[0])
    eta, S = config.learning_rate, config.batch_size
    common: dict = dict(num_steps=config.num_steps, save_every=config.save_every, observables=observables)
    made = sg.compare(problem, sg.SGD(eta, S), key=jr.split(jr.key(config.seed))[1], progress="", **common)
    replicas = int(replicas_needed(config.margin))
    arms = [sg.SGD(eta, S), sg.GaussianSGD(eta, S), sg.SDE(eta, S, substeps=_SUBSTEPS, solver=diffrax.Euler())]
    runs = [sg.simulate(arm, problem, replicas=replicas, key=jr.key(k), **common) for k, arm in enumerate(arms)]
    verdicts = sg.evidence.verdict(runs[0].values, runs[2].values)
    saves = 1 + config.num_steps // config.save_every
    by_hand = replicas * sum(gradients_per_replica(arm, problem, config.num_steps, saves) for arm in arms)
    ours = sum(made.design.gradients.values())
    unchecked = ours - made.design.gradients.get("SDE at h/2", 0.0)
    sizes = f"the demo: {replicas} replicas of each arm by hand, {made.design.replicas} here"

    def decided(found: dict) -> str:
        return f"{sum(v.kind != 'inconclusive' for v in found.values())} of {len(found)} verdicts"

    rows = []
    for what, count in (("sg.compare", ours), ("sg.compare without its check of h against h/2", unchecked)):
        ratio = count / by_hand
        times = f"{count:.3g} / {by_hand:.3g} gradients"
        rows.append(Row(f"{what} ÷ by hand, gradients", sizes, f"{ratio:.2f}", "≤ 0.25", ratio <= 0.25, times))
    parts = ", ".join(f"{arm} {count:.3g}" for arm, count in made.design.gradients.items())
    return rows, [
        f"decided: {decided(made.verdicts)} by sg.compare, {decided(verdicts)} by hand, with Euler's step unchecked.",
        f"gradients of sg.compare: {parts} ({made.design.check_replicas} replicas again at h/2).",
    ]
