"""The fit of one law to one table."""

import jax
import jax.numpy as jnp
import jax.random as jr

from sdesgd.errors import InputError, require_known, shown
from sdesgd.extras import require
from sdesgd.inputs import as_key, check_positive_integer
from sdesgd.optimal_batch.cells import LAWS, make_cells
from sdesgd.optimal_batch.posterior import Posterior
from sdesgd.optimal_batch.sampling import ACCEPTANCES, sample_posterior
from sdesgd.optimal_batch.table import AccuracyTable
from sdesgd.types import PRNGKeyArray


def fit(
    table: AccuracyTable,
    law: str = "power",
    *,
    key: PRNGKeyArray,
    samples: int = 1000,
    warmup: int = 500,
    chains: int = 4,
) -> Posterior:
    """The posterior of a law for B_opt, and of the curves of accuracy about it, given a table.

        power:        log B_opt = a + α log η + β log N − γ log(1−m) + τ z,   for B_opt ≪ N
        noise_scale:  η(N/B_opt − 1)/(1−m) = c, with the same scatter τ z on log B_opt

    z is a standard Gaussian for each series; τ = 0 for a table of one series, whose peak is the law's. The curves, the
    noise and the priors are in ``sdesgd.optimal_batch.model``; α, β, γ ~ N(0.5, 0.75²). B_opt is the peak of the mean
    *logit* of accuracy (the location of a t), which is that of the mean accuracy only where the seeds' noise is alike
    on both sides of it. Runs marked as diverged are left out, and a cell where more than half are is left out whole;
    ``best_sampled`` has their rates. So the exponents depend on what the caller marks: a rule that looks at the
    outcome, such as a bound on the train loss, drops low accuracies. A slope whose factor doesn't vary in the table is
    not identified and is left out.

    Assumes that series are exchangeable given their factors, that accuracy has one peak in log B, and that the seeds
    of a series are independent between batch sizes (if they share a start, levels move together and the errors are on
    the safe side). Where all series of one N share its training examples, the intervals are conditional on these: what
    is particular to them and shifts B_opt at that N enters the slope of N, and no scatter shows it. All accuracies
    share a test set, and the intervals are conditional on that too.

    While more than 0.1 % of the trajectories diverge, the fit is made again with smaller steps: NUTS aims at an
    acceptance rate of 0.95, then 0.99, then 0.998. The best of these fits is returned: one that mixed, with the fewest
    divergences. What is still wrong with it is what ``Posterior.trouble`` says.

    Args:
        table: of at least one series with three batch sizes; a slope needs two values of its factor, and with
            fewer than about six series its error leans on the prior of τ.
        law: "power" or "noise_scale".
        key: of ``jax.random.key``. samples, warmup: draws of a chain, kept and for adaptation. chains: at least two.

    Raises:
        InputError: too few batch sizes or seeds; samples < 100; one chain; another law.

    Source: Hoffman & Gelman 2014 (numpyro's NUTS). Two tables with equally many series and batch sizes share a
    compilation, whatever the law.
    """
    if not isinstance(table, AccuracyTable):
        raise InputError(f"table is {shown(table)}: pass an AccuracyTable")
    require_known("law", law, LAWS)
    key = as_key(key)
    for name, value in (("samples", samples), ("warmup", warmup), ("chains", chains)):
        check_positive_integer(name, value)
    if samples < 100 or chains < 2:
        raise InputError(f"{chains} chains of {samples} samples: R-hat and ESS need two chains of 100 or more")
    cells = make_cells(table, law)
    require("numpyro")
    with jax.enable_x64(True):
        batch = jax.tree.map(lambda leaf: jnp.asarray(leaf, float)[None], cells)
        found: list[Posterior] = []
        for acceptance in ACCEPTANCES:
            drawn, diverging, _ = sample_posterior(
                batch, jr.split(key, 1), chains=chains, warmup=warmup, samples=samples, acceptance=acceptance
            )
            draws = {name: values[0] for name, values in drawn.items()}
            found.append(Posterior.from_draws(table, law, cells, draws, int(diverging.sum()), acceptance))
            if not found[-1].divergent:
                break
    # Smaller steps may end divergences at the price of mixing: then the chains before are the better ones.
    return min(found, key=lambda posterior: (not posterior.mixed, posterior.divergences))
