"""The README's quantitative sentences: their words, with a placeholder for each number that a stored summary has."""

import dataclasses
from collections.abc import Callable

from tests.readme import values


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Words with {placeholders}, whose values a function takes from a figure's summary.

    Args:
        figure: the stem of ``experiments/figures/NAME.json``.
        values: summary → the text of each placeholder; it asserts what is said in words.
        text: of the README; line breaks don't matter, what stands in backticks isn't compared.
        earlier: the placeholders as an earlier run had them, for a figure without a stored summary.
    """

    figure: str
    values: Callable[[dict], dict[str, str]]
    text: str
    earlier: dict[str, str] | None = None


RESULTS = [
    Sentence(
        "sgd_vs_sde",
        values.demo,
        """
        Here, at η = {eta}, SGD's train loss is {train} standard deviations above the SDE's at step {step}, the step
        where the two are least alike, with a 95 % interval of {interval} for all {times} saved steps at once;
        {train_eta} of it because η is finite. It took one look at {sgd} runs of SGD and {pairs} coupled pairs of the
        other two.
        """,
    ),
    Sentence(
        "f2",
        values.f2,
        """
        What was found on F2 (width {width}, {N} digits, η = {eta}, S = {S}, {replicas} replicas, {steps} steps): it
        is not described by its SDE. SGD is {gap} standard deviations behind in train loss at step {step}, where of
        {times} times the two are least alike (so the number is biased upwards, and its interval is pointwise), a
        little more than half of it by non-Gaussian noise; test accuracy and distance differ too. The SDE takes
        {substeps} steps of its own per SGD step, since with batch norm ε² is η, not η/S: halving them moves it by
        less than the gap, but is not resolved to within the margin ({half} at most).
        """,
    ),
    Sentence(
        "c1",
        values.c1,
        """
        And on C1 (`paper`, width {width}, batch norm, dropout ½, {N} digits, η = {eta}, S = {S}, {replicas}
        replicas, {steps} steps): {equivalent} observables are equivalent, two are undecided, train loss ({gap} at step
        {step}, again the largest of {times} times) and distance, for which about {needed} replicas would do; the SDE's
        own step is not resolved here either ({half} at most).
        """,
    ),
    Sentence(
        "weak_order",
        values.orders,
        """
        In means at fixed time and S, SGD is O(η) from its SDE and O(η²) from the order-2 equation. Gradient flow, which
        has no noise, is O(η) from it too, and only {farther} times as far: the slope of a mean is no evidence for
        the noise term. The fluctuations are: the SDE gets their variance right to a relative O(η) ({first} % off at
        η = {eta}; order 2, {second} %), and gradient flow has none. With heavy ball the orders are O(√η) and O(η) at
        fixed (1−m)/√η only; at fixed m both are O(η). At fixed η SVAG(ℓ) is O(1/ℓ) from the SDE, and stays away
        from gradient flow.
        """,
    ),
    Sentence(
        "weak_order",
        values.parabola,
        """
        On a parabola with constant C, without momentum, order 2 gets the variance wrong by twice as much as order 1;
        with momentum both get it wrong by the same amount. But the odds of basins (next section) order 2 gets right
        """,
    ),
    Sentence(
        "basin_occupancy",
        values.occupancy,
        """
        At η = {eta} and S = {S} the deeper, softer well A holds SGD {sgd} % of the time at T = {T}, where the Gibbs
        law says {gibbs} %; its exact law says {exact} %, and splits the gap into {finite} percentage points for the
        finite step and {skew} for batches that are not Gaussian. As η → 0 at the same T the gap vanishes as η
        (measured power {power}).
        """,
    ),
    Sentence(
        "basin_occupancy_skewed",
        values.skewed,
        """
        With skewed tilts and S = {S} ([figure](experiments/figures/basin_occupancy_skewed.svg)) it is {gap}
        percentage points and goes as √η (measured power {power}); Gaussian SGD, {gaussian} points from the Gibbs
        law, shows nothing of it.
        """,
    ),
    Sentence(
        "basin_occupancy",
        values.rare,
        """
        in the double well above, at T = {T}, it is {gaussian} percentage points from SGD, and the SDE {sde}.
        """,
    ),
    Sentence(
        "stationary_loss",
        values.traces,
        """
        On diabetes data Tr H is off by a factor of {regression}, on logistic regression by {logistic}, on a small
        tanh net by {net}, and on one and the same quadratic by 1, 1/2 or 1/4, as C is. At finite η it is neither
        trace: where SGD's exact law is known (quadratics, linear regression with its C(θ)) measured values agree
        with it to within {within} %, while it is up to {times} times (η/4S) Tr C.
        """,
    ),
    Sentence(
        "escape_times",
        values.escapes,
        """
        Kramers' formula is {short} % short of the SDE's exact time at ΔV/T = {ratio}. SGD at η = {eta}, S = {S}
        takes {times} times Kramers' time there, by its exact law:
        """,
    ),
    Sentence(
        "real_basins",
        values.real_basins,
        """
        It agrees within its errors, which are up to ±{error} percentage points, at {agree} of the {mix} rates at
        which it mixes; at η/S = {odd} on the sine it doesn't: basin B has {less} percentage points less. (± is half
        of a 95 % interval. Laplace is off by up to {laplace} percentage points, where the soft directions are
        anharmonic.) SGD's own noise has only {softest} % of that variance along a minimum's softest direction. On
        the digits, at η/S = {ratio}, SGD spends {sgd} % in the deepest basin and its SDE {sde} %, where Gibbs says
        {gibbs} % and the control has {control} %. On the sine SGD and its SDE *collapse*: at η/S = {odd} SGD has a
        dead unit in {dead} % of the frames,
        """,
    ),
    Sentence(
        "real_basins",
        values.real_basins,
        """
        Both arrive where gradient flow does, to within {early} percentage points, at the smaller η/S; at the
        largest, basin B of the sine gains {gain} with SGD.
        """,
    ),
    Sentence(
        "batch_size",
        values.setting,
        """
        On MNIST digits of {side} × {side} pixels ({width} ReLU units, {steps} steps, {runs} runs per point;
        """,
    ),
    Sentence(
        "batch_size",
        values.exponents,
        """
        - **α = {alpha}**: over a factor of {span} in η the best batch size grows almost, not quite, in proportion.
        - **β = {beta}**: with eight times the examples it is {growth} times as large.
        - **γ = {gamma}**: from m = {least} to {most} it is proportional to 1/(1−m) within the errors.
        """,
    ),
    Sentence(
        "batch_size",
        values.edge,
        """
        In {same} of the {series} series the best sampled batch is the smallest that trains (mean train loss below
        0.01), in the other {next} the next one
        """,
    ),
    Sentence(
        "batch_size",
        values.laws,
        """
        (log predictive density {difference} ± {error}, a standard error over {series} series that are not alike)
        """,
    ),
    Sentence(
        "batch_size",
        values.left_out,
        """
        the runs left out ({failed} of {runs}, at B up to {most}, those whose last train loss is log K or more for K
        classes;
        """,
    ),
    Sentence(
        "batch_size",
        values.left_out,
        """
        the {tests} test examples, which all runs share;
        """,
    ),
    Sentence(
        "batch_size",
        values.left_out,
        """
        of which there is one nested draw with {sizes} sizes.
        """,
    ),
    Sentence(
        "batch_size",
        values.noise,
        """
        they end {low} to {high} times above B_opt here
        """,
    ),
    Sentence(
        "batch_size_fashion",
        values.fashion,
        """
        On Fashion-MNIST, from {least} to {most} examples (η = {eta}, {steps} steps), B_opt goes as N^{beta}. The
        best sampled B, {best}, would go as N itself:
        """,
        earlier={
            "least": "2,000",
            "most": "32,000",
            "eta": "0.02",
            "steps": "10,000",
            "beta": "0.57 [0.41, 0.75]",
            "best": "32, 64, 128, 256 and 512 or more",
        },
    ),
]

# Words with numbers that are no results: definitions, sizes of what is run, how long it takes.
NO_RESULTS = [
    "You need Python 3.11 or newer and make",
    "The installation takes a minute or two, the demo one to three minutes on two cores.",
    "trains a small net on 500 real MNIST digits by SGD",
    "In the large panels three ensembles start from one point",
    "Coloured bands are pointwise 95 % intervals of the means",
    "a two one-sided test (TOST)",
    "Keskar et al. 2016, with their batch norm and dropout: F1 and F2 are five and seven dense layers, C1 two "
    "convolutions and two dense layers (``, 283,274 parameters at full width, or ``, 1,757,834; smaller grey images "
    "are centred in a 32×32 one)",
    "and order 1 doesn't",
    "asks where SGD with S = 1 sits once it mixes",
    "looks for the minima of two small tanh nets",
    "The run takes nine minutes on one core.",
    "of one or two parameters.",
    "use one by one, in float64.",
    "moves with η and 1/(1−m)",
    "The first takes eight minutes on two cores, the second half an hour or more",
    "≪ 1 (with batch norm: ε² = η and η‖H_group‖ ≪ 1)",
    "Apache License 2.0.",
    "1/√det H",
    "T = ησ²/(2S)",
    "(η/4S)",
    "(−ηγ₄∫V′³/(6T²))",
    "η → 0",
    "medians and 90 % intervals of B_opt ∝ η^α N^β (1−m)^−γ",
    "g = η(N/B − 1)/(1−m)",
    "B_opt ∝ ηN/(1−m)",
    "`` takes eight landscapes in one and two dimensions",
    "some slope isn't 1",
]
