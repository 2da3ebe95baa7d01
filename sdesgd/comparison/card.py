"""The validity card: the numbers that the SDE's conditions are about, and which of the conditions hold."""

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from sdesgd.results import Result

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

DIRECTIONS = ("gradient", "top_hessian")
_SMALL = 0.1  # "≪ 1" is a factor of ten
_HALF = 1.959964  # of a 95 % interval, in standard errors


@dataclasses.dataclass(frozen=True)
class Condition:
    """One condition of the SDE: a number that has to be far below 1.

    Attributes:
        name: in words.
        symbol: of the number.
        value: its size; NaN where it isn't defined.
        error: its standard error; 0 where it is exact.
    """

    name: str
    symbol: str
    value: float
    error: float = 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """(low, high), a 95 % interval; the number itself where it is exact."""
        return max(self.value - _HALF * self.error, 0.0), self.value + _HALF * self.error

    @property
    def kind(self) -> str:
        """Whether it "holds" (the whole interval is at most a tenth), is "close" (below 1) or "fails" (1 or more).

        "undecided" where the limit lies within the interval, "unknown" where the number isn't defined.
        """
        if math.isnan(self.value):
            return "unknown"
        low, high = self.interval
        if high < 1:
            return "holds" if high <= _SMALL else "close"
        return "fails" if low >= 1 else "undecided"

    def __str__(self) -> str:
        if self.kind == "unknown":
            return "not defined here"
        if self.kind == "undecided":
            return f"undecided, {self.value:.2g} ± {self.error:.1g} times the limit"
        if self.kind == "fails":
            return f"fails, {_times(self.value)} the limit"
        return f"{self.kind}, {_times(1 / self.value if self.value else math.inf)} below the limit"


def _times(factor: float) -> str:
    """A factor in words; beyond a million rounding errors are measured."""
    if factor > 1e6:
        return "more than a million times"
    return f"{factor:,.0f} times" if factor >= 100 else f"{factor:.2g} times"


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class ValidityCard(Result):
    """At one θ. All are pure numbers, but for the traces. What isn't defined there is NaN.

    Attributes:
        stability: ηλ_max/(2(1+m)): steps are stable on a quadratic below 1; the SDE needs it ≪ 1.
        top_eigenvalue, eigenvalue_error: λ_max of H by Lanczos and its residual bound.
        noise_to_signal: f tr C/(S‖g‖²), S in units of the sum: the covariance of a minibatch gradient, its trace,
            against the gradient, in squares. f is that of the sampling: 0 for a batch of all examples. Infinite where
            ‖g‖² is 0 (or its estimate over draws isn't positive) and there is noise; NaN for 0/0.
        trace: tr C. gradient_norm_squared: ‖g‖².
        skewness, excess_kurtosis: of the minibatch gradient along g and along the top Hessian direction; 0 for
            Gaussian noise, which is what the SDE assumes; NaN where there is no noise: the gradients agree along the
            direction up to rounding, or the batch is all the data.
        draws: of masks and groups that were averaged over; 1 where the loss draws nothing.
        standard_errors: of noise_to_signal, trace, gradient_norm_squared, skewness and excess_kurtosis, over the
            draws (jackknife); empty where the loss draws nothing and all is exact.
        learning_rate: η.
        batch_size: S, in examples.
        momentum: m.
        sampling: of the batches.
    """

    stability: float
    top_eigenvalue: float
    eigenvalue_error: float
    noise_to_signal: float
    trace: float
    gradient_norm_squared: float
    skewness: dict[str, float]
    excess_kurtosis: dict[str, float]
    draws: int
    standard_errors: dict[str, Any]
    learning_rate: float
    batch_size: int
    momentum: float
    sampling: str

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Small steps, whose limit is where they become unstable, and Gaussian noise: skewness and excess kurtosis of a
        minibatch gradient, in size, of which 1 is that of a law far from Gaussian (the exponential law has 2 and 6).

        The second matters less the smaller the steps: over a fixed time and at fixed S, skewness moves the means by a
        term of order η², where the size of the steps itself makes a difference of order η.
        """
        found = [Condition("small steps", "η λ_max / (2(1+m))", max(self.stability, 0.0) + 0 * self.stability)]
        for direction, words in zip(DIRECTIONS, ("g", "top H"), strict=True):
            for name, label in (("skewness", "skewness"), ("excess_kurtosis", "kurtosis − 3")):
                error = self.standard_errors[name][direction] if self.standard_errors else 0.0
                value = abs(getattr(self, name)[direction])
                found.append(Condition("Gaussian noise", f"|{label}| along {words}", value, error))
        return tuple(found)

    def setting(self) -> str:
        """η, S and what isn't as usual, in one line."""
        text = f"η = {self.learning_rate:g}, S = {self.batch_size}"
        text += f", momentum {self.momentum:g}" if self.momentum else ""
        return text + (", drawn without replacement" if self.sampling == "no_replacement" else "")

    def worst(self) -> dict[str, Condition]:
        """The largest number of each condition, "small steps" and "Gaussian noise"."""
        found: dict[str, Condition] = {}
        for one in self.conditions:
            before = found.get(one.name)
            if before is None or math.isnan(before.value) or one.interval[1] > before.interval[1]:
                found[one.name] = one
        return found

    def sentence(self) -> str:
        """Which condition holds, and by what factor."""
        found = [f"{name}: {one}" + ("" if one.kind == "unknown" else f" ({one.symbol})")
                 for name, one in self.worst().items()]  # fmt: skip
        return f"{found[0][:1].upper()}{found[0][1:]}; {'; '.join(found[1:])}."

    def __str__(self) -> str:
        from sdesgd.comparison import card_table

        return card_table.text(self)

    def plot(self) -> "Figure":
        """Each number of the SDE's conditions against its limit, on a log axis."""
        from sdesgd.plot import card

        return card.figure_of(self)

    def to_xarray(self) -> "xr.Dataset":
        """The numbers, those of the noise's shape over ``direction``; ``standard_error_NAME`` where there are any."""
        import xarray as xr

        variables: dict[str, Any] = {}
        for prefix, numbers in (("", dataclasses.asdict(self)), ("standard_error_", self.standard_errors)):
            for name, value in numbers.items():
                if isinstance(value, float):
                    variables[prefix + name] = value
                elif name in ("skewness", "excess_kurtosis"):
                    variables[prefix + name] = "direction", [value[key] for key in DIRECTIONS]
        about = {name: getattr(self, name) for name in ("batch_size", "sampling", "draws")}
        return xr.Dataset(variables, {"direction": list(DIRECTIONS)}, about)
