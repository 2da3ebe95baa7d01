"""What batch-size recommend answers with: the recommendation, and the sweep and the fit behind it."""

import dataclasses
import math
from typing import ClassVar

from experiments._shared.result import as_json
from experiments.batch_size import result as batch_size
from experiments.batch_size.config import Config as SweepConfig
from experiments.batch_size_recommend.config import Config, sweep_config


@dataclasses.dataclass(frozen=True)
class Recommended:
    """A batch size or a learning rate; NaN where there is no answer.

    Attributes:
        median: the recommendation.
        low, high: its 90 % interval; the upper end may be infinite.
        beyond: in what this lies outside of what was tried; or "".
    """

    median: float
    low: float
    high: float
    beyond: str


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Result(batch_size.Result):
    """A recommendation.

    Attributes:
        steps: of every run.
        recommended: the answer.
    """

    parts: ClassVar[tuple[type, ...]] = (Config, *batch_size.Result.parts[1:], Recommended)
    config: Config
    steps: int
    recommended: Recommended

    @property
    def sweep(self) -> SweepConfig:
        """The sweep that was asked for."""
        return sweep_config(self.config, self.steps)

    def answer(self, separator: str = "\n") -> str:
        """The recommendation in a sentence or two."""
        asked, found = self.config, self.recommended
        low, high = (f"{side:.3g}" if math.isfinite(side) else "∞" for side in (found.low, found.high))
        interval = f"{found.median:.3g} (90 % interval {low} to {high})" if math.isfinite(found.median) else "no answer"
        place = f"N = {asked.num_examples}, m = {asked.momentum:g} and {self.steps:,} steps"
        if asked.learning_rate:
            text = f"At η = {asked.learning_rate:g}, {place}: batch size {interval}."
        else:
            text = f"For B = {asked.batch_size}, {place}: learning rate {interval}."
        text += f"{separator}For runs of another length the best may be another."
        beware = [found.beyond] if found.beyond else []
        if trouble := self.posteriors["power"].trouble():
            beware.append(f"don't rely on the interval, {trouble}")
        return f"{separator}Beware: ".join([text, *(f"{reason}." for reason in beware)])

    def summary(self) -> dict:
        """The numbers as JSON has them."""
        more = {name: as_json(getattr(self, name)) for name in ("steps", "recommended")}
        return {**super().summary(), **more}
