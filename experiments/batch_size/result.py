"""What batch-size answers with: the table of its sweep, and the posteriors of both laws."""

import dataclasses
import functools
import json
from typing import Any, ClassVar

import xarray as xr

from experiments._shared.result import ExperimentResult, as_json
from experiments.batch_size import fits
from experiments.batch_size.config import FAMILIES, PLACE, Config, families, problem_config, series
from experiments.batch_size.series import Series, cells_of, noise_scales_of
from sdesgd.optimal_batch import Band, Factor, LawComparison, Posterior, fitted_summaries

_BUDGETS = {"steps": "{} steps", "epochs": "{} epochs", "loss": "until the train loss stops falling, at most {} steps"}


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(ExperimentResult):
    """How the best batch size scales.

    Attributes:
        data: a row for each run of the series that trained somewhere; attributes name the cells that failed and the
            series that are lost.
        noise: noise scales along runs at the best batch sizes; None where they weren't measured.
        posteriors: "power" and "noise_scale" → posterior of the law.
        check: the posterior predictive check of the power law.
        comparison: of the two laws; None where it wasn't asked for, or for too few series.
        sizes_of_problem: name → size.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, Posterior, *Posterior.parts, fits.Check, LawComparison)
    config: Any
    data: xr.Dataset
    noise: xr.Dataset | None
    posteriors: dict[str, Posterior]
    check: fits.Check
    comparison: LawComparison | None
    sizes_of_problem: dict[str, Any]

    def to_xarray(self) -> xr.Dataset:
        """A row for each run."""
        return self.data

    def sizes(self) -> dict:
        """What the manifest says of the run."""
        pooling = problem_config(self.sweep)["pooling"]
        return {**super().sizes(), **self.sizes_of_problem, "pooling": pooling, "budget_size": self.sweep.size}

    @property
    def sweep(self) -> Config:
        """What was swept: the run's own configuration."""
        return self.config

    @property
    def families(self) -> list[str]:
        """Those that were varied."""
        return families(self.sweep)

    @property
    def num_test(self) -> int:
        """Test examples of every run."""
        return self.posteriors["power"].table.num_test

    @property
    def failures(self) -> list[str]:
        """What the cells that failed said."""
        return json.loads(self.data.attrs["failures"])

    @property
    def lost(self) -> list[str]:
        """Names of the series in which most runs broke down at every batch size."""
        return json.loads(self.data.attrs["lost"])

    @functools.cached_property
    def series(self) -> tuple[Series, ...]:
        """One for each η, N and m."""
        belongs = {tuple(point[name] for name in PLACE): point["families"] for point in series(self.sweep)}
        power, found = self.posteriors["power"], []
        for fitted, rows in zip(fitted_summaries(power, fits.LEVEL), power.table.series, strict=True):
            place = {name: getattr(fitted, name) for name in PLACE}
            noise = () if self.noise is None else noise_scales_of(self.noise, place)
            cells = cells_of(self.data.isel(row=rows.rows))
            found.append(Series(fitted, tuple(belongs[tuple(place.values())]), cells, noise))
        return tuple(found)

    def line(self, law: str, family: str) -> Band:
        """B_opt against what a family varies, by "power" or "noise_scale"."""
        centre = {name: getattr(self.sweep, name) for name in PLACE}
        places = [one.position(family) for one in self.members(family)]
        return fits.line(self.posteriors[law], family, centre, (min(places), max(places)))

    def members(self, family: str) -> list[Series]:
        """The series of a family, ascending in what it varies."""
        found = [one for one in self.series if family in one.families]
        return sorted(found, key=lambda one: one.position(family))

    def summary(self) -> dict:
        """The numbers as JSON has them."""
        told = {name: getattr(self, name) for name in ("config", "families", "num_test", "failures", "lost", "check")}
        told["series"] = [one.summary() for one in self.series]
        laws = {"fit": "power", "noise_scale": "noise_scale"}
        told |= {name: fits.law_in_numbers(self.posteriors[law]) for name, law in laws.items()}
        told["lines"] = {family: {law: self.line(law, family) for law in self.posteriors} for family in self.families}
        if self.comparison is not None:
            names = ("difference", "standard_error", "refits", "verdict")
            told["comparison"] = {name: getattr(self.comparison, name) for name in names}
            told["comparison"]["text"] = str(self.comparison)
        return {"answer": self.answer(), **as_json(told), "sizes": as_json(self.sizes())}

    # -- sentences ---------------------------------------------------------------------------------------------

    def exponents(self) -> list[tuple[Factor, tuple[float, float, float]]]:
        """The factors that were varied, with median and 90 % interval of their exponents in the power law."""
        power, factors = self.posteriors["power"], [FAMILIES[family] for family in self.families]
        return [
            (factor, (power.median(factor.exponent), *power.interval(factor.exponent, fits.LEVEL)))
            for factor in factors
            if factor.exponent in power.quantities
        ]

    def setting(self) -> list[str]:
        """The net, the data and the budget in phrases."""
        config, sizes = self.sweep, self.sizes()
        net = "softmax regression" if config.model == "logistic" else f"{config.depth} × {config.width} ReLU units"
        budget = _BUDGETS[config.budget].format(f"{sizes['budget_size']:,}")
        tests = f"{config.seeds} runs per point, {self.num_test} test examples, the same for all"
        return [f"{config.data}, {sizes['features']} inputs, {net}", f"SGD with replacement, {budget}", tests]

    def answer(self, separator: str = " ") -> str:
        """The exponents, and for which of them 1 lies in the interval."""
        power, found = self.posteriors["power"], self.exponents()
        if power.trouble():
            return f"The fit's numbers are not to be used: {power.trouble()}."
        if not found:
            return "With one η, N and m there is nothing to learn on how B_opt scales."
        powers = " · ".join(f"{_power(factor.grows)}^{median:.2f}" for factor, (median, _, _) in found)
        intervals = ", ".join(f"{factor.letter} [{low:.2f}, {high:.2f}]" for factor, (_, low, high) in found)
        inside = [factor.letter for factor, (_, low, high) in found if low <= 1 <= high]
        which = "all" if len(inside) == len(found) > 1 else " and ".join(inside)
        if len(found) == 1:
            where = f"lies {'inside' if inside else 'outside'}"
        else:
            where = f"lies in that of {which}" if inside else "lies in none"
        return (
            f"B_opt grows as {powers} on this net, data and budget.{separator}90 % interval{'s' * (len(found) > 1)}: "
            f"{intervals}; 1, proportionality, {where}."
        )


def _power(name: str) -> str:
    """What may be raised to a power."""
    return f"({name})" if "/" in name else name
