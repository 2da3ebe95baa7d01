"""One line for what users do pass to basins; no NaN that passes for a minimum."""

import math
from typing import Any

import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import basins, toys
from sdesgd.basins.measured import occupancy_of, stationary_of
from sdesgd.basins.passage import kramers_rate
from sdesgd.basins.saddles import Saddle, highest_on_the_way
from sdesgd.landscape import Landscape
from tests.refusals import refused
from tests.users import unchecked_types

bs: Any = basins
rate: Any = kramers_rate
KEY = jr.key(0)
WELL = toys.potential("double-well")
PROBLEM = toys.tilted(WELL, toys.tilts_of(20.0))
WELLS = basins.wells_of(WELL)
FOUND: Any = basins.minima_of(WELL)
SADDLE = Saddle(np.zeros(1), 0.25, (0, 1), np.array([-1.0]))
RATES = np.array([[0.0, 1e-2], [1e-2, 0.0]])
eye = np.eye(2)


def passed(**changes):
    options: dict[str, Any] = {
        "dynamics": sg.SGD(0.02, 1),
        "problem": PROBLEM,
        "start": [-1.0],
        "target": lambda z: z[0] > -0.5,
        "replicas": 4,
        "max_steps": 10_000,
        "key": KEY,
    }
    options |= changes
    order = [options.pop(name) for name in ("dynamics", "problem", "start", "target")]
    return bs.first_passage(*order, **options)


def occupied(**changes):
    options: dict[str, Any] = {
        "dynamics": sg.SGD(0.02, 1),
        "problem": PROBLEM,
        "wells": WELLS,
        "starts": [[-1.0], [1.0]],
        "num_steps": 100,
        "burn_in": 10,
        "replicas": 4,
        "key": KEY,
    }
    options |= changes
    order = [options.pop(name) for name in ("dynamics", "problem", "wells")]
    return bs.measure_occupancy(*order, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        # points and tolerances
        (lambda: bs.quench(WELL, [["a"]]), "points holds no numbers"),
        (lambda: bs.quench(WELL, np.ma.masked_less([[-1.0]], 0)), "masked array"),
        (lambda: bs.quench(WELL, [[math.nan]]), "not finite at 1 points"),
        (lambda: bs.quench(WELL, [1.0]), "points have shape"),
        (lambda: bs.quench(WELL, None), "points holds no numbers"),
        (lambda: bs.quench(WELL, [[1j]]), "complex"),
        (lambda: bs.quench(WELL, jnp.zeros((1, 1), jnp.bfloat16)), "points are bfloat16"),
        (lambda: bs.quench(WELL, [[0.5]], tolerance=math.nan), "tolerance is nan"),
        (lambda: bs.quench(WELL, [[0.5]], tolerance="1e-5"), "tolerance is '1e-5'"),
        (lambda: bs.quench(WELL, [[0.5]], gradient_norm=None), "gradient_norm is None"),
        (lambda: bs.quench(WELL, [[0.5]], max_time=math.inf), "max_time is inf"),
        (lambda: bs.quench(WELL, [[0.5]], max_time=True), "max_time is True"),
        (lambda: bs.find_minima(WELL, [[0.5]], tolerance=math.nan), "tolerance is nan"),
        (lambda: bs.find_minima(WELL, [[0.5]], symmetry="mirror"), "symmetry is 'mirror'"),
        (lambda: bs.minima_of(PROBLEM), "pass a Potential"),
        (lambda: bs.minima_of(WELL, starts=2.5), "starts is 2.5"),
        (lambda: FOUND.match([1.0]), "points have shape"),
        (lambda: FOUND.match("a"), "holds no numbers"),
        (lambda: FOUND.copies(7), "index is 7"),
        (lambda: FOUND.copies(True), "index is True"),
        (lambda: FOUND.laplace(math.nan), "temperature is nan"),
        (lambda: FOUND.laplace("1"), "temperature is '1'"),
        # paths
        (lambda: bs.minimum_energy_path(WELL, [-1.0], [[1.0]]), "pass two points"),
        (lambda: bs.minimum_energy_path(WELL, [-1.0], "b"), "b holds no numbers"),
        (lambda: bs.minimum_energy_path(WELL, [-1.0], [1.0], images=4), "images is 4"),
        (lambda: bs.minimum_energy_path(WELL, [-1.0], [1.0], images=31.0), "images is 31.0"),
        (lambda: highest_on_the_way(toys.potential("ring"), [-1.0, 0.0], [1.0, 0.0], rounds=0), "rounds is 0"),
        (lambda: bs.barriers(WELL, [[-1.0], [1.0]], ["saddle"]), "pass those of find_saddles"),
        (lambda: bs.barriers(WELL, [[-1.0]], (SADDLE,)), "a saddle joins wells"),
        (lambda: bs.kramers_rates(WELL, [[-1.0]], (SADDLE,), 0.1), "a saddle joins wells"),
        # rates
        (lambda: rate([[1.0, 0.9], [0.0, 1.0]], eye - 2 * np.diag([1, 0]), 1.0, 0.1), "hessian_min is not symmetric"),
        (lambda: rate(1.0, math.nan, 1.0, 0.1), "hessian_saddle has values that are NaN"),
        (lambda: rate("H", -1.0, 1.0, 0.1), "hessian_min holds no numbers"),
        (lambda: rate(1.0, -1.0, math.nan, 0.1), "barrier is nan"),
        (lambda: rate(1.0, -1.0, math.inf, 0.1), "barrier is inf"),
        (lambda: rate(1.0, -1.0, "1", 0.1), "barrier is '1'"),
        (lambda: rate(1.0, -1.0, 1.0, None), "temperature is None"),
        (lambda: bs.mean_first_passage_time(WELL, 0.1, math.nan, 1.0), "start is nan"),
        (lambda: bs.mean_first_passage_time(WELL, 0.1, "-1", 1.0), "start is '-1'"),
        (lambda: bs.mean_first_passage_time(WELL, 0.1, -1.0, 1.0, (2.0, -2.0)), "low < high"),
        (lambda: bs.mean_first_passage_time(WELL, 0.1, -1.0, 1.0, (-2.0, math.inf)), "low < high"),
        (lambda: bs.mean_first_passage_time((1.0, 2.0, 3.0), 0.1, -1.0, 1.0), "arrays \\(x, V\\(x\\)\\)"),
        (lambda: bs.mean_first_passage_time((["a"] * 5, [1.0] * 5), 0.1, -1.0, 1.0), "x holds no numbers"),
        (lambda: bs.mean_first_passage_time(WELL, math.inf, -1.0, 1.0), "temperature is inf"),
        # wells
        (lambda: bs.wells_of(WELL, temperature="0.1"), "temperature is '0.1'"),
        (lambda: bs.wells_of(WELL, core_height=math.nan), "core_height is nan"),
        (lambda: bs.wells_of(WELL, box=[(-2, math.nan)]), "low < high"),
        (lambda: bs.wells_of(WELL, box=2.0), "pass \\(low, high\\)"),
        (lambda: bs.wells_of(WELL, minima=[[math.nan]]), "NaN or infinity"),
        (lambda: bs.wells_of(WELL, minima=["a"]), "minima holds no numbers"),
        (lambda: bs.wells_of(toys.potential("four-wells"), points=20.5), "points is 20.5"),
        (lambda: WELLS.labels([1.0]), "points have shape"),
        (lambda: WELLS.labels([[math.nan]]), "finite points"),
        (lambda: WELLS.cores([["a"]]), "points holds no numbers"),
        # measured
        (lambda: passed(key=0), "key is 0"),
        (lambda: passed(key=None), "key is None"),
        (lambda: passed(key=jr.split(KEY, 3)), "pass one key"),
        (lambda: passed(start=[math.nan]), "pass finite numbers"),
        (lambda: passed(start=["a"]), "start holds no numbers"),
        (lambda: passed(start=np.ma.masked_less([-1.0], 0)), "masked array"),
        (lambda: passed(target=1.0), "target is 1.0"),
        (lambda: passed(target=lambda z: z > 0), "target\\(θ\\) has shape \\(1,\\)"),
        (lambda: passed(target=lambda z: z[0]), "return one bool"),
        (lambda: passed(target=lambda z: None), "return one bool"),
        (lambda: passed(target=lambda z: bool(z[0] > 0)), "the target can't be traced"),
        (lambda: passed(target=lambda z: z[0] > 0 and z[0] < 2), "the target can't be traced"),
        (lambda: passed(target=lambda z: z.nothing), "the target can't be traced"),
        (lambda: passed(replicas=4.0), "replicas is 4.0"),
        (lambda: passed(max_steps="100"), "max_steps is '100'"),
        (lambda: passed(dynamics=PROBLEM), "the order is"),
        (lambda: passed(problem=WELL), "the order is"),
        (lambda: passed(dynamics=sg.SGD(lambda n: 0.1, 1)), "is a schedule"),
        (lambda: occupied(key=0), "key is 0"),
        (lambda: occupied(key=jr.split(KEY, 2)), "pass one key"),
        (lambda: occupied(starts=[["a"]]), "starts holds no numbers"),
        (lambda: occupied(starts=[[math.nan], [1.0]]), "NaN or infinity"),
        (lambda: occupied(starts=[-1.0, 1.0]), "starts have shape"),
        (lambda: occupied(burn_in=1.5), "burn_in 1.5"),
        (lambda: occupied(burn_in=None), "burn_in None"),
        (lambda: occupied(num_steps=True), "num_steps is True"),
        (lambda: occupied(rates="rates"), "rates holds no numbers"),
        (lambda: occupied(rates=np.full((2, 2), np.nan)), "NaN or infinity"),
        (lambda: occupied(wells=WELL), "pass those of wells_of"),
        (lambda: occupied(dynamics=PROBLEM), "the order is"),
        (lambda: bs.steps_needed(RATES, math.nan, 4, 100), "learning_rate is nan"),
        (lambda: bs.steps_needed(RATES, 0.1, "4", 100), "replicas is '4'"),
        (lambda: bs.burn_in_needed(RATES, 0.0), "learning_rate is 0.0"),
        (lambda: bs.burn_in_needed([["a"]], 0.1), "rates holds no numbers"),
        (lambda: stationary_of(np.ma.masked_equal(RATES, 0)), "masked array"),
        # equilibrium
        (lambda: bs.detailed_balance([[0, math.nan], [1, 0]]), "none negative"),
        (lambda: bs.detailed_balance("counts"), "crossings holds no numbers"),
        (lambda: bs.rotation(np.zeros((2, 2, 2)), math.nan), "dt is nan"),
        (lambda: bs.rotation(np.zeros((2, 2, 2)), "1"), "dt is '1'"),
        (lambda: bs.rotation(np.zeros((2, 2, 2)), 1.0, mean=[0.0, 0.0, 0.0]), "mean has shape"),
        (lambda: bs.rotation(np.zeros((2, 2, 2)), 1.0, mean=[math.nan, 0.0]), "finite numbers"),
        # symmetries
        (lambda: bs.tanh_symmetry("net"), "net is 'net'"),
        (lambda: bs.unit_permutations(WELL), "pass one of nets.mlp"),
        (lambda: bs.orbit_volume(None, [1.0, 0.0]), "action is None"),
        (lambda: bs.orbit_volume(lambda a, z: z if a > 0 else -z, [1.0, 0.0]), "the action can't be traced"),
        (lambda: bs.orbit_volume(lambda a, z: np.cos(a) * z, [1.0, 0.0]), "the action can't be traced"),
        (lambda: bs.orbit_volume(lambda a, z: z[:1], [1.0, 0.0]), "return a point like θ"),
        (lambda: bs.orbit_volume(lambda a, z: None, [1.0, 0.0]), "return a point like θ"),
        (lambda: bs.orbit_volume(lambda a, z: z, [math.nan, 0.0]), "finite numbers"),
        (lambda: bs.orbit_volume(lambda a, z: z, "θ"), "theta holds no numbers"),
    ],
)
def test_one_line_for_bad_input(call, message):
    refused(call, message)


class Broken:
    """Has all that the protocol asks for, and fails."""

    order = 2

    def images(self, theta):
        return theta[5]

    canonical = distances = multiplicity = images


def test_a_symmetry_that_fails():
    refused(lambda: bs.find_minima(WELL, [[0.5]], Broken()), "the symmetry can't be applied")


# -- NaN ------------------------------------------------------------------------------------------------------


def test_a_minimum_without_a_second_derivative_is_none():
    """At rest, ∇V = 0, and V″ = ∞ (or NaN): no curvature that could be called a minimum's."""
    cusp = Landscape("cusp", lambda z: jnp.sum(jnp.abs(z) ** 1.5), 1)
    found = basins.quench(cusp, [[0.0]])
    assert not found.converged.any()
    assert math.isnan(found.losses[0])
    refused(found.check, "Hessian isn't finite")


def test_an_action_of_nan_has_no_volume():
    """Every comparison with NaN is False: none may let it pass."""

    def action(angle, z):
        turned = jnp.stack(
            [jnp.cos(angle) * z[0] - jnp.sin(angle) * z[1], jnp.sin(angle) * z[0] + jnp.cos(angle) * z[1]]
        )
        return turned + jnp.where((angle > 0.2) & (angle < 0.4), jnp.nan, 0.0)

    refused(lambda: bs.orbit_volume(action, [1.0, 0.0]), "isometric|a one-parameter group")


def test_a_hessian_of_nan_is_no_saddle():
    rough = Landscape("rough", lambda z: jnp.sum((z**2 - 1) ** 2) / 4 + jnp.abs(z[0] - 1) ** 1.5 * 0, 1)
    refused(lambda: bs.barriers(rough, [[-1.0], [1.0]]), "Hessian of rough isn't finite|is not finite")


def test_critical_points_where_the_slope_is_nan():
    kinked = Landscape("kinked", lambda z: jnp.sum((z**2 - 1) ** 2) + jnp.sqrt(0.5 - z[0]), 1)
    refused(lambda: bs.wells_of(kinked, box=[(-2, 2)]), "V′ of kinked is not finite")


def test_counts_of_nothing_are_no_occupancy():
    crossings = np.full((2, 2, 2, 2), 500)
    counts: Any = occupancy_of
    refused(lambda: counts(np.zeros((2, 2, 2), int), crossings), "of 0 steps")
    refused(lambda: counts(np.full((2, 1, 2), 50), crossings[:, :1]), "two or more a start")
    uneven = np.array([[[50, 50], [50, 50]], [[50, 50], [10, 10]]])
    refused(lambda: counts(uneven, crossings), "equally many")


def test_starts_that_each_stay_are_not_mixed():
    """No scatter and yet a gap: ∞ standard errors apart, not 0/0."""
    visits = np.array([[[100, 0], [100, 0]], [[0, 100], [0, 100]]])
    crossings = np.full((2, 2, 2, 2), 10**12)
    refused(lambda: occupancy_of(visits, crossings), "not mixed")
    third = np.array([[[100, 0, 0]] * 2, [[0, 100, 0]] * 2])
    refused(lambda: occupancy_of(third, np.full((2, 2, 3, 3), 10**12)), "not mixed")


def test_replicas_with_one_net_flow_have_no_spread():
    counts = np.array([[[0, 3], [1, 0]]] * 4)
    assert np.isnan(basins.detailed_balance(counts)).all()


# -- what works -----------------------------------------------------------------------------------------------


def test_legacy_keys_and_odd_arrays_work():
    with unchecked_types():
        new = passed()
        old = passed(key=jr.PRNGKey(0), start=np.array([-1.0], ">f8"))
        np.testing.assert_array_equal(old.steps, new.steps)
        minima = bs.quench(WELL, np.array([[0.5], [-0.5]], ">f8")).points
        np.testing.assert_array_equal(minima, bs.quench(WELL, [[0.5], [-0.5]]).points)
        assert bs.quench(WELL, np.array([[2]])).points[0, 0] == pytest.approx(1.0)
        assert rate(jnp.asarray([[2.0]]), np.float32(-1.0), 1, 0.5) == rate(2.0, -1.0, 1.0, 0.5)


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16, jnp.float32])
def test_passages_and_occupancies_of_half_precision(dtype):
    """They run, and agree with double precision within what the dtype resolves of a few standard errors."""

    def problem(dtype):
        return sg.Problem(lambda w, a: jnp.sum((w**2 - 1) ** 2) / 4 + jnp.vdot(a, w), jnp.full(1, -1.0, dtype), TILTS)

    TILTS = toys.tilts_of(20.0)
    options: dict[str, Any] = {"replicas": 200, "dynamics": sg.SGD(0.05, 1), "target": lambda z: z[0] > 0.9}
    half, full = (passed(problem=problem(d), **options) for d in (dtype, jnp.float64))
    error = math.hypot(half.standard_error_steps, full.standard_error_steps)
    assert abs(half.mean_steps - full.mean_steps) < 5 * error
    shares = [
        occupied(problem=problem(d), dynamics=sg.SGD(0.05, 1), num_steps=3000, burn_in=300, replicas=16)
        for d in (dtype, jnp.float64)
    ]
    error = math.hypot(*(share.standard_errors[0] for share in shares))
    assert abs(shares[0].probabilities[0] - shares[1].probabilities[0]) < 5 * error
