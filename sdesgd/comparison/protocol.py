"""SGD against its SDE, from one start, until the verdicts have fallen: ``compare``."""

import dataclasses
import math
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal

import equinox as eqx
import jax
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from sdesgd import inputs
from sdesgd import observables as ready
from sdesgd.comparison import integrator, judgement
from sdesgd.comparison import replicas as sharing
from sdesgd.comparison.cost import gradients_per_replica
from sdesgd.comparison.ensembles import Ensemble, Keep, Runs
from sdesgd.comparison.gap import simulate_coupled
from sdesgd.comparison.result import Comparison, Design
from sdesgd.comparison.setting import check_margin_names, rates_of, saves_about_twelve, setting_of
from sdesgd.comparison.validity import validity_card
from sdesgd.dynamics import SDE, SGD, SVAG, Coupled, GaussianSGD, HalvedSDE
from sdesgd.errors import InputError, shown
from sdesgd.evidence import GroupSequential
from sdesgd.evidence.decisions import replicas_to_decide
from sdesgd.evidence.margins import as_margins
from sdesgd.evidence.samples import check_probability
from sdesgd.problem import Problem
from sdesgd.results import NotEstablished
from sdesgd.simulation import simulate
from sdesgd.trajectories import Trajectories
from sdesgd.types import Observables, PRNGKeyArray

# Replicas of a batch; the pilot is one of each. A pair costs as many gradients as dozens of SGD's runs.
_BATCHES = (32, 12)


def compare(
    problem: Problem,
    dynamics: SGD,
    *,
    num_steps: int,
    key: PRNGKeyArray,
    observables: Observables | None = None,
    labels: Mapping[str, str] | None = None,
    margin: Any = 0.5,
    alpha: float = 0.05,
    replicas: int | Literal["decide"] = "decide",
    max_minutes: float = 10.0,
    max_replicas: int = 2000,
    save_every: int | None = None,
    params: PyTree = None,
    substeps: int = 1,
    check_replicas: int | None = None,
    svag: int = 0,
    title: str = "",
    keep: Keep | None = None,
    progress: str = "comparison",
) -> Comparison:
    """Does the SDE describe this SGD?  SGD, Gaussian SGD and the SDE from one start, with error bars and verdicts.

    SGD − SDE  =  (SGD − Gaussian SGD)  +  (Gaussian SGD − SDE)

    The second part comes from pairs on shared Brownian increments. An observable is *equivalent* if its means agree
    within the margin at every saved time, *different* if they don't agree at some time (at a level that is corrected
    over times and observables), *inconclusive* otherwise.

    With ``replicas="decide"`` a pilot measures the variance of each ensemble, replicas are shared out by
    √(variance/cost), where a step of SGD costs S gradients and one of a pair 5N, and the ensembles grow and are looked
    at until every verdict is reached, or as many replicas as decide a gap of any size with power 0.9. Group-sequential
    levels account for the repeated looks, see ``evidence.GroupSequential``; p-values of the joint laws and the verdicts
    in ``against`` are those of one look. With a number there is one look at that many replicas of each arm.

    Assumes that replicas are what the law is over: params, data and schedule are given. Reshuffled epochs have no such
    SDE: SGD is then compared with that of a subset drawn afresh at each step.

    Args:
        problem: the finite sum.
        dynamics: the SGD to be described, with any schedule, momentum and sampling.
        num_steps: of SGD.
        key: of all randomness.
        observables: name → function of params, or one function to such a mapping; None: loss, ‖θ − θ₀‖², ‖g‖², tr C.
            Components of vectors are compared one by one.
        labels: name → label with units, for the figure and the report; the names where there are none.
        margin: of equivalence: a number of SGD's standard deviations at that time, ``evidence.Margin`` for another
            unit, or a mapping name → either.
        alpha: level of "equivalent" and of "different".
        replicas: of each arm, or "decide".
        max_minutes: with "decide", the time after which no further look is begun.
        max_replicas: with "decide", the largest number of an arm; a pilot has 32 of SGD and 12 pairs in any case.
        save_every: steps between saves, a divisor of num_steps; None: about twelve saves.
        params: the start; None: the problem's.
        substeps: of the SDE, per step of SGD.
        check_replicas: of the SDE's replicas, how many are run again at h/2 on the same Brownian paths, at most all, to
            check its own step; None: 16 with a number of ``replicas``, else 8, and up to 32 until the error is known as
            well as the gap.
        svag: ℓ of an SVAG arm; 0 for none.
        title: the net or problem in words; empty: the type of params.
        keep: how a finished batch of replicas is kept, (name, compute) → runs; None: in memory alone.
        progress: a label of the bars; empty: silence.

    Returns:
        The comparison. After Ctrl-C, or out of time, it is that of the looks so far, and says so.

    Raises:
        InputError: dynamics that isn't ``SGD``, sizes or options out of range; as ``simulate``, ``GaussianSGD`` and
            ``SDE``.
        KeyboardInterrupt: before the first look.

    Source:
        Li, Tai & E 2017 (the SDE); Li, Malladi & Arora 2021 (SVAG); Lan & DeMets 1983 (looks).
    """
    began = time.monotonic()
    if not isinstance(dynamics, SGD):
        raise InputError(f"dynamics is {shown(dynamics)}: pass the SGD to be described, as sg.SGD(0.1, 16)")
    if not isinstance(problem, Problem):
        raise InputError(f"problem is {shown(problem)}: pass a Problem")
    _check(num_steps, replicas, max_minutes, max_replicas, substeps, check_replicas, svag)
    if save_every is None:
        save_every = saves_about_twelve(int(num_steps))
    inputs.check_positive_integer("save_every", save_every)
    names = ("observables", "SGD", "pairs", "SVAG", "check", "card", "seed")
    keys = dict(zip(names, jr.split(inputs.as_key(key), len(names)), strict=True))
    seed = int(jr.randint(keys["seed"], (), 0, 2**20))
    if observables is None:
        observables = ready.of_problem(problem, keys["observables"], params)
        labels = ready.LABELS | dict(labels or {})
    law = "no_replacement" if dynamics.sampling == "reshuffle" else dynamics.sampling
    eta, S, m = dynamics.learning_rate, dynamics.batch_size, dynamics.momentum
    gaussian, sde = GaussianSGD(eta, S, law, m), SDE(eta, S, law, momentum=m, substeps=substeps)
    if svag and not (isinstance(m, int | float) and m == 0):
        raise InputError(f"svag is {svag} with momentum {m}: SVAG has no momentum, leave svag out")
    for one in (dynamics, gaussian):
        one.init(problem, problem.params)
    common: dict[str, Any] = dict(num_steps=num_steps, save_every=save_every, params=params, observables=observables)
    kept = keep or (lambda name, compute: compute())

    def alone(one: Any) -> Callable[..., Runs]:
        return lambda key, count, label: (
            _first_params(simulate(one, problem, key=key, replicas=count, progress=label, **common)),
        )

    def paired(first: Any, second: Any) -> Callable[..., Runs]:
        def run(key, count, label):
            both = simulate_coupled(first, second, problem, key=key, replicas=count, progress=label, **common)
            return _first_params(both[0]), _first_params(both[1])

        return run

    saves = 1 + int(num_steps) // int(save_every)
    cost = lambda one: gradients_per_replica(one, problem, int(num_steps), saves)  # noqa: E731
    sequential = isinstance(replicas, str)
    batches = _BATCHES if sequential else (int(replicas), int(replicas))
    sgd_runs = Ensemble("SGD", alone(dynamics), keys["SGD"], batches[0], cost(dynamics), kept)
    pairs = Ensemble(
        "Gaussian SGD and SDE", paired(gaussian, sde), keys["pairs"], batches[1], cost(Coupled(gaussian, sde)), kept
    )
    cards, missing = {}, {}
    largest_rate = float(rates_of(dynamics, int(num_steps)).max())
    card_options = dict(key=keys["card"], sampling=law, momentum=m)

    def measure(when: str, at: PyTree) -> None:
        try:  # before anything long: a loss that has no card is known at once
            cards[when] = validity_card(problem, largest_rate, S, params=at, **card_options)
        except InputError as refusal:
            missing[f"card at the {when}"] = NotEstablished(str(refusal))

    measure("start", params)
    check_margin_names(margin, observables, problem.params if params is None else params)
    check_probability(alpha, "alpha")
    # At least fifty relabelled paths may cross at the level alpha.
    options: dict[str, Any] = dict(margin=margin, alpha=alpha, seed=seed)
    options["permutations"] = max(999, math.ceil(50 / alpha) - 1)
    monitor = GroupSequential(**options)
    ended, said = "fixed", dict(labels or {})

    def look(fraction: float) -> None:
        nonlocal said
        (one,), (_, two) = sgd_runs.trajectories(), pairs.trajectories()
        (one, said), (two, _) = judgement.scalars_of(one, labels), judgement.scalars_of(two, labels)
        monitor.look(one.values, two.values, fraction, diverged=(one.diverged, two.diverged))

    try:
        for ensemble in (sgd_runs, pairs):
            ensemble.grow(1, progress)
        if sequential:
            (one,), (_, two) = sgd_runs.trajectories(), pairs.trajectories()
            pilots = judgement.scalars_of(one, labels)[0].values, judgement.scalars_of(two, labels)[0].values
            deadline = began + 60 * max_minutes
            ended = sharing.decide(monitor, look, sgd_runs, pairs, pilots, max_replicas, deadline, progress)
        else:
            look(1.0)
    except KeyboardInterrupt:
        if not monitor.looks:
            raise
        ended = "interrupted"
    halved = HalvedSDE(sde)
    number = None if check_replicas is None else int(check_replicas)
    size = integrator.batch_of(number, pairs, sequential)
    # The key of the pairs: the same Brownian paths.
    check = Ensemble("SDE at h over 2", alone(halved), keys["pairs"], size, cost(halved), kept)
    extra = Ensemble("SVAG", alone(SVAG(eta, S, svag or 1, law)), keys["SVAG"], batches[0], 1.0, kept)
    arms = _arms(monitor, sgd_runs, pairs, labels)
    sgd, two = arms["SGD"], arms["SDE"]
    gap, first, second = judgement.parts_of_the_gap(sgd, arms["Gaussian SGD"], two)
    worst = judgement.worst_gaps(sgd, two, monitor.looks, monitor.verdicts)
    try:
        if ended != "interrupted":
            integrator.grow(check, pairs, number, gap, worst, sgd.values, labels, progress)
            if svag:
                extra.cost = cost(SVAG(eta, S, svag, law))
                extra.grow(pairs.replicas, progress)
    except KeyboardInterrupt:
        ended = "interrupted"
    if extra.replicas:
        arms["SVAG"] = judgement.scalars_of(extra.trajectories()[0], labels)[0]
    beside, laws = {}, {}
    try:
        measure("end", _replica(sgd.final_params, problem))
        beside["Gaussian SGD"] = judgement.against(sgd, arms["Gaussian SGD"], **options)
        if "SVAG" in arms:
            beside["SVAG"] = judgement.against(arms["SVAG"], two, **options)
        laws = judgement.joint_laws(arms, seed)
    except KeyboardInterrupt:
        missing["what is beside the verdicts"] = NotEstablished("interrupted", "the same call, run to completion")
    halves = {}
    if check.replicas:
        halves = integrator.errors(check, pairs, sgd.values, labels)
    else:
        missing["the SDE's step"] = NotEstablished("h against h/2 was not run", "the same call, run to completion")
    missing |= _undecided(monitor, ended, arms)
    ensembles = {"SGD": sgd_runs, "Gaussian SGD and SDE": pairs, "SDE at h/2": check, "SVAG": extra}
    design = Design(
        sequential=sequential,
        looks=tuple(monitor.looks),
        ended=ended,
        margins=as_margins(margin, monitor.verdicts),
        alpha=float(alpha),
        replicas={arm: len(run.diverged) for arm, run in arms.items()},
        check_replicas=check.replicas,
        minutes=(time.monotonic() - began) / 60,
        gradients={name: one.cost * one.replicas for name, one in ensembles.items() if one.replicas},
    )
    return Comparison(
        time=sgd.time,
        step=sgd.step,
        labels={name: said.get(name, name) for name in sgd.values},
        verdicts=dict(monitor.verdicts),
        against=beside,
        gap=gap,
        non_gaussian=first,
        discretisation=second,
        h_against_half=halves,
        worst=worst,
        cards=cards,
        laws=laws,
        trajectories=arms,
        setting=setting_of(problem, dynamics, law, int(num_steps), int(save_every), substeps, svag, title),
        design=design,
        not_established=missing,
    )


def _check(num_steps, replicas, max_minutes, max_replicas, substeps, check_replicas, svag) -> None:
    for name, value in (("num_steps", num_steps), ("max_replicas", max_replicas), ("substeps", substeps)):
        inputs.check_positive_integer(name, value)
    inputs.check_number("max_minutes", max_minutes, "a positive number", lambda x: x > 0, finite=False)
    if isinstance(replicas, str) and replicas != "decide":
        raise InputError(f"replicas is {shown(replicas)}: pass a number, or 'decide'")
    for name, value, least in (("replicas", replicas, 2), ("check_replicas", check_replicas, 2), ("svag", svag, 0)):
        if value is None or isinstance(value, str):
            continue
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
            raise InputError(f"{name} is {shown(value)}: pass a whole number of at least {least}")


def _first_params(run: Trajectories) -> Trajectories:
    """The run with the final params of its first replica alone; those of a net by the hundred would fill memory."""
    first = jax.tree.map(lambda x: x[:1] if eqx.is_array(x) else x, run.final_params)
    return dataclasses.replace(run, final_params=first, identity=None)  # so nothing extends it


def _replica(stacked: PyTree, problem: Problem) -> PyTree:
    """The first of params with a replica axis, as the problem has them; those of a file are a dict by path."""
    moving = eqx.filter(problem.params, eqx.is_inexact_array)
    if jax.tree.structure(eqx.filter(stacked, eqx.is_inexact_array)) == jax.tree.structure(moving):
        first = jax.tree.map(lambda x: x[0], eqx.filter(stacked, eqx.is_inexact_array))
    else:
        first = jax.tree_util.tree_map_with_path(lambda path, _: stacked[jax.tree_util.keystr(path)][0], moving)
    return eqx.combine(jax.tree.map(jax.numpy.asarray, first), problem.params)


def _arms(monitor: GroupSequential, sgd_runs: Ensemble, pairs: Ensemble, labels: Any) -> dict[str, Trajectories]:
    """arm → trajectories, of the replicas that the last look had."""
    sizes = monitor.looks[-1].replicas
    (sgd,), (gaussian, sde) = sgd_runs.trajectories(), pairs.trajectories()
    arms = {}
    for name, run, count in (("SGD", sgd, sizes[0]), ("Gaussian SGD", gaussian, sizes[1]), ("SDE", sde, sizes[1])):
        values = {key: array[:count] for key, array in run.values.items()}
        stopped = np.asarray(run.stopped)[:count]
        cut = dataclasses.replace(run, values=values, diverged=run.diverged[:count], stopped=stopped)
        arms[name] = judgement.scalars_of(cut, labels)[0]
    return arms


def _undecided(monitor: GroupSequential, ended: str, arms: Mapping[str, Trajectories]) -> dict[str, NotEstablished]:
    """What no verdict has fallen on, and what it would take."""
    found, hypotheses = {}, len(monitor.verdicts) * max(1, len(arms["SGD"].time) - 1)
    for name, verdict in monitor.verdicts.items():
        if verdict.kind != "inconclusive":
            continue
        if verdict.reason:
            found[name] = NotEstablished(verdict.reason)
            continue
        pair = arms["SGD"].values[name], arms["SDE"].values[name]
        if any((np.isfinite(values).sum(axis=0) < 2).any() for values in pair):
            found[name] = NotEstablished("fewer than two replicas are finite at some step", "a smaller learning rate")
            continue
        in_deviations = as_margins(monitor.margin, monitor.verdicts)[name].unit == "deviation"
        needed = replicas_to_decide(verdict, pair, hypotheses) if in_deviations else None
        why = {"time": "not decided in the time", "interrupted": "interrupted", "fixed": "too few replicas"}
        remedy = f"about {needed:,} replicas of each arm" if needed else "more replicas"
        found[name] = NotEstablished(why.get(ended, "not decided with the planned number of replicas"), remedy)
    return found
