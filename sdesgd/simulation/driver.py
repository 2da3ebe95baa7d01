"""Replicas of any dynamics → Trajectories."""

import numpy as np
from jaxtyping import Array, Key, PyTree

from sdesgd.dynamics.protocol import AbstractDynamics
from sdesgd.problem import Problem
from sdesgd.simulation.checkpoint import Checkpoint
from sdesgd.simulation.display import Display
from sdesgd.simulation.divergence import undebugged, warn_diverged, warn_unstable
from sdesgd.simulation.extension import check_extends, joined, replicas_before
from sdesgd.simulation.identity import checkpoint_identity, identity_of
from sdesgd.simulation.loop import Run
from sdesgd.simulation.plan import planned
from sdesgd.trajectories.result import Trajectories
from sdesgd.types import Accumulator, Observables, PathLike, PRNGKeyArray, StoppingRule


def simulate(
    dynamics: AbstractDynamics,
    problem: Problem,
    *,
    num_steps: int,
    replicas: int,
    key: PRNGKeyArray | Key[Array, " replicas"],
    observables: Observables,
    save_every: int = 1,
    params: PyTree = None,
    starts: PyTree = None,
    until: StoppingRule | None = None,
    accumulate: Accumulator | None = None,
    checkpoint: PathLike | None = None,
    extend: Trajectories | None = None,
    progress: str = "",
) -> Trajectories:
    """Independent replicas of a dynamics, with observables saved along the way.

    Replica r at step n draws from ``fold_in(fold_in(key, r), n)``: results don't depend on how the run is cut
    into segments, and a replica doesn't depend on the number of the others (up to the bits that the block
    size changes). The run is in the dtype of params. What loss, schedule and observables read from outside is seen as
    it is at this call; a second call compiles nothing unless a program or its constants changed.

    Ctrl-C and SIGTERM end the run at the next segment (about a quarter of a second) and return what was saved,
    ``trajectories.interrupted`` set; before the first save, during compilation, KeyboardInterrupt is raised.

    Args:
        dynamics: ``SGD``, ``GaussianSGD``, ``SVAG``, ``SDE``, ….
        problem: the finite sum.
        num_steps: SGD steps, for every dynamics.
        replicas: independent runs R.
        key: of ``jax.random.key``; or one for each replica, which stands for its ``fold_in(key, r)``.
        observables: name → function of params, to an array; bound methods such as ``test_problem.loss`` are fine. Or
            one function of params, to a mapping of name → array, so that several share a pass over the data.
        save_every: steps between saves; must divide num_steps. The start is saved too.
        params: the common start; default: the problem's.
        starts: a start for each replica instead: a pytree like the problem's params in which arrays have a leading
            axis ``replicas``, such as ``final_params`` of an earlier run.
        until: params ↦ bool. A replica for which it holds, at its start or after a whole step, stays where it is from
            then on, and ``stopped`` of the result says at which step that was. Those that have stopped cost next to
            nothing, but for the last few dozen. A coupled pair stops together, and never after one of the two has
            diverged.
        accumulate: (init, update), for what is counted after every step without being saved. ``init``: what a replica
            carries at first, a pytree of arrays, or a function of its start to one. ``update(carry, params, n)``: what
            it carries after step n = 1, 2, …, of the same shapes and dtypes. A replica that has diverged (of a
            coupled pair one of the two) or stopped counts no more; the step at which it stops still counts. Or (init,
            update, until), with until: carry ↦ bool, which stops a replica by what it has counted.
        checkpoint: a file that holds the state of the run, written every minute, at an interruption and at the end.
            The same call goes on from it after an interruption, a kill −9 too, and gives the same result, bit for bit;
            after the end it gives the result at once.
        extend: an earlier result of the same call with fewer replicas: only the others are computed, and the result
            holds all, as one call would have given them (up to the bits that the block size changes). Of
            ``starts`` and keys give those of all replicas. Where it is interrupted, the result is the earlier one,
            ``interrupted`` set.
        progress: a label; shows a bar with the time left where stderr is a terminal, and else prints a line after ten
            seconds and one a minute. Empty: none.

    Raises:
        InputError: bad sizes, or more than fits into this machine's memory; a start of another structure than the
            problem's or that isn't finite; both params and starts; an ``until`` that doesn't give one bool, an
            ``accumulate`` that changes shapes or dtypes; functions that JAX can't trace; an observable that doesn't
            return an array, or whose name a file can't hold; a rate that is 0 or infinite in the dtype of params; a
            checkpoint that is damaged, that can't be written, or of a run with another problem, dynamics, key, start,
            functions or sizes; an ``extend`` of another run, of more replicas, or interrupted.

    Warns:
        RuntimeWarning: replicas diverged, or are unstable: finite, but 10⁶ times further from their start than its
            size and gradients explain, and up the loss; quotes ηλ_max against 2(1+m).
    """
    with Display(progress) as display:
        plan = planned(
            dynamics,
            problem,
            num_steps=num_steps,
            replicas=replicas,
            first_replica=replicas_before(extend, replicas),
            save_every=save_every,
            key=key,
            observables=observables,
            params=params,
            starts=starts,
            until=until,
            accumulate=accumulate,
        )
        identity = identity_of(plan)
        if extend is not None:
            check_extends(plan, extend)
            if len(extend.diverged) == replicas:
                return extend
        keeper = None
        if checkpoint is not None:
            keeper = Checkpoint(checkpoint, checkpoint_identity(plan, identity), (plan.num_steps, plan.save_every))
        run = Run(plan, keeper)
        run.go(display)
    result = _result(run, identity)
    with undebugged():
        if result.diverged.any():
            gone = np.any(result.diverged.reshape(len(result.diverged), -1), axis=1)
            warn_diverged(plan.given, plan.problem, plan.first_start, gone)
        else:
            members = result.final_params if plan.num_members > 1 else (result.final_params,)
            warn_unstable(plan.given, plan.problem, plan.own_starts, plan.common, members, plan.time[-1])
    return result if extend is None else joined(extend, result)


def _result(run: Run, identity: dict[str, str]) -> Trajectories:
    plan, (now, saved, _) = run.plan, run.stand
    dead = np.asarray(now.dead)
    return Trajectories(
        time=plan.time[:saved],
        step=plan.step[:saved],
        values={name: array[:, :saved] for name, array in run.values.items()},
        final_params=plan.params(now),
        diverged=dead[:, 0] if plan.num_members == 1 else dead,
        interrupted=run.interrupted,
        blocks=plan.blocks,
        stopped=None if now.stopped is None else np.asarray(now.stopped),
        accumulated=now.accumulated,
        identity=identity,
    )
