"""Simulation-based calibration: tables from the prior or from other curves; how often the intervals hold the truth.

``python -m tests.optimal_batch.calibration run --truth prior --tables 400 --out FILE`` appends a line a table, and goes
on where it was stopped; ``... again --out FILE`` runs those whose chains didn't mix anew, four times as long; ``...
report --out FILE`` prints coverage with binomial errors and χ² of the ranks.
"""

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from numpyro.diagnostics import effective_sample_size, split_gelman_rubin
from scipy import stats

from sdesgd.optimal_batch.cells import make_cells
from sdesgd.optimal_batch.prediction import locations
from sdesgd.optimal_batch.sampling import sample_posterior
from tests.optimal_batch.synthetic import Design, Truth, from_prior, simulate_table

# Eight series, not the fourteen of ``Design()``: half the time a table.
DESIGN = Design(
    series=(
        *((eta, 1000, 0.9) for eta in (0.02, 0.05, 0.1, 0.4)),
        *((0.05, N, 0.9) for N in (500, 8000)),
        *((0.05, 1000, m) for m in (0.0, 0.95)),
    )
)
RANKS = 50  # ranks are among this many draws
LEVELS = (0.5, 0.9)


def other_truth(kind: str, design: Design, rng: np.random.Generator) -> Truth:
    """Slopes near 0…1 and a curve and noise that the model doesn't have."""
    return Truth(
        intercept=rng.normal(0, 1.0),
        slopes=tuple(rng.uniform(-0.2, 1.3, 3)),
        tau=rng.uniform(0.05, 0.4),
        levels=rng.normal(2.2, 0.4, len(design.series)),
        curvatures=0.2 * np.exp(0.4 * rng.normal(size=len(design.series))),
        depth=4.0,
        noise=0.1,
        noise_slopes=(-0.1, 0.1, -0.2, 0.0),
        nu=6.0,
        curve=kind,
    )


def simulate(kind: str, number: int, design: Design) -> tuple:
    """Table ``number`` of a kind of truth, with its truth and the log B_opt of its series in the table's own order."""
    rng = np.random.default_rng([1710, number, sum(map(ord, kind))])
    truth = from_prior(design, rng) if kind == "prior" else other_truth(kind, design, rng)
    table, location = simulate_table(truth, design, rng)
    at = {series: place for series, place in zip(design.series, location, strict=True)}
    return table, truth, np.array([at[s.learning_rate, s.num_examples, s.momentum] for s in table.series])


def calibrate(
    kind: str, numbers: Sequence[int], design: Design, *, chains: int = 2, warmup: int = 400, samples: int = 300
) -> list[dict]:
    """For each table: ranks of the truth among the draws, whether the intervals hold it, and the state of the
    chains."""
    worlds = [simulate(kind, number, design) for number in numbers]
    with jax.enable_x64(True):
        cells = [make_cells(table, "power") for table, _, _ in worlds]
        batch = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf, float) for leaf in leaves]), *cells)
        keys = jax.vmap(lambda n: jr.fold_in(jr.key(2018), n))(jnp.asarray(list(numbers)))
        draws, diverging, _ = sample_posterior(batch, keys, chains=chains, warmup=warmup, samples=samples)
    records = []
    for k, (_, truth, location) in enumerate(worlds):
        own = {name: values[k] for name, values in draws.items()}
        place = locations(own, cells[k])
        grid = cells[k].log_batch.min(), cells[k].log_batch.max()
        quantities = {
            name: (own["slope"][..., j], truth.slopes[j]) for j, name in enumerate(("alpha", "beta", "gamma"))
        }
        quantities |= {"tau": (own["log_scatter"][..., 0], math.log(truth.tau))}
        quantities |= {f"B_opt[{s}]": (place[..., s], location[s]) for s in range(len(location))}
        record = {
            "number": numbers[k], "kind": kind, "divergences": int(diverging[k].sum()),
            "r_hat": float(max(np.max(split_gelman_rubin(values)) for values in (own["slope"], place))),
            "ess": float(min(np.min(effective_sample_size(values)) for values in (own["slope"], place))),
            "outside": [bool(not grid[0] <= value <= grid[1]) for value in location],
            # By the data, not by the truth: intervals needn't hold at their rate among peaks chosen for where they are.
            "at_edge": [int(np.argmax(row)) in (0, len(row) - 1) for row in cells[k].mean],
        }  # fmt: skip
        for name, (values, true) in quantities.items():
            flat = np.sort(values.reshape(-1))
            thinned = values.reshape(-1)[:: max(1, values.size // RANKS)][:RANKS]
            held = [bool(np.quantile(flat, 0.5 - c / 2) <= true <= np.quantile(flat, 0.5 + c / 2)) for c in LEVELS]
            record[name] = {"rank": int(np.sum(thinned < true)), "held": held, "sd": float(flat.std())}
        records.append(record)
    return records


LONGER = {"chains": 4, "warmup": 800, "samples": 700}
AT_ONCE = 12  # of the longer ones


def mixed(record: dict) -> bool:
    """Whether the ranks and intervals of a table can be believed."""
    return record["r_hat"] <= 1.05 and record["ess"] >= 50 and record["divergences"] == 0


def report(records: list[dict]) -> list[str]:
    """Lines: coverage of the 50 % and 90 % intervals with binomial errors, and the χ² p-value of the ranks."""
    beyond = np.mean([record["outside"] for record in records])
    unmixed = sum(not mixed(record) for record in records)
    divergent = sum(record["divergences"] > 0 for record in records)
    lines = [
        f"{records[0]['kind']}: {len(records)} tables; B_opt beyond the grid in {beyond:.1%} of series; tables with "
        f"R-hat above 1.05, ESS below 50 or divergences: {unmixed}, divergences: {divergent}"
    ]
    groups = {name: [[r[name]] for r in records] for name in ("alpha", "beta", "gamma", "tau")}
    for edge, name in enumerate(("B_opt, best inside", "B_opt, best at an edge")):
        groups[name] = [[r[f"B_opt[{s}]"] for s, at in enumerate(r["at_edge"]) if at == edge] for r in records]
    for name, tables in groups.items():
        entries = [entry for table in tables for entry in table]
        if not entries:
            continue
        held = np.array([entry["held"] for entry in entries]).mean(axis=0)
        # Series of one table err together: the error is that of a mean of clusters.
        excess = [sum((np.array(entry["held"]) - held for entry in table), np.zeros(2)) for table in tables]
        errors = np.sqrt(np.sum(np.square(excess), axis=0)) / len(entries)
        text = ", ".join(f"{c:.0%}: {h:.3f} ± {e:.3f}" for c, h, e in zip(LEVELS, held, errors, strict=True))
        p_value = rank_p_value([entry["rank"] for entry in entries])
        lines.append(f"  {name:22s} {len(entries):5d}: {text}; ranks: p = {p_value:.3f}")
    return lines


def rank_p_value(ranks: list[int], bins: int = 10) -> float:
    """χ² of the histogram of ranks 0…RANKS in ``bins`` nearly equal bins."""
    which = np.asarray(ranks) * bins // (RANKS + 1)
    expected = np.bincount(np.arange(RANKS + 1) * bins // (RANKS + 1), minlength=bins) / (RANKS + 1) * len(ranks)
    return float(stats.chisquare(np.bincount(which, minlength=bins), expected).pvalue)


def read(path: Path) -> list[dict]:
    """The records of a file, the last of each table; none if there is no such file."""
    lines = path.read_text().splitlines() if path.exists() else []
    return list({(record["kind"], record["number"]): record for record in map(json.loads, lines)}.values())


def append(path: Path, records: list[dict]) -> None:
    with path.open("a") as file:
        file.write("".join(json.dumps(record) + "\n" for record in records))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("action", choices=("run", "again", "report"))
    parser.add_argument("--truth", default="prior", choices=("prior", "own", "gaussian", "piecewise", "plateau"))
    parser.add_argument("--tables", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=25, help="tables in one call; the results of each are kept")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    if options.action == "run":
        done = {(record["kind"], record["number"]) for record in read(options.out)}
        for first in range(0, options.tables, options.at_once):
            if (options.truth, first) in done:
                continue
            append(options.out, calibrate(options.truth, range(first, first + options.at_once), DESIGN))
    if options.action == "again":
        for kind in ("prior", "own", "gaussian", "piecewise", "plateau"):
            poor = [r["number"] for r in read(options.out) if r["kind"] == kind and not mixed(r)]
            for first in range(0, len(poor), AT_ONCE):
                append(options.out, calibrate(kind, poor[first : first + AT_ONCE], DESIGN, **LONGER))
    kinds: dict[str, list[dict]] = {}
    for record in read(options.out):
        kinds.setdefault(record["kind"], []).append(record)
    for records in kinds.values():
        print("\n".join(report(records)))


if __name__ == "__main__":
    main()
