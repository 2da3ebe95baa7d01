"""What a user's function reads from outside is seen at the next call, and nothing is compiled without need."""

import functools
import types

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import sdesgd as sg
from sdesgd import freshness

X = np.random.default_rng(0).normal(size=40)
lam = 0.0
box = types.SimpleNamespace(lam=0.0)
table = np.array([0.0])


def body(w, _):
    """A scan's body of its own: JAX keeps what it traced of it."""
    return w + lam, None


@jax.jit
def compiled_penalty(w):
    return lam * w**2


@jax.custom_vjp
def with_rule(w):
    return w**2


with_rule.defvjp(lambda w: (w**2, w), lambda w, g: (g * (2 + 2 * lam) * w,))


class Penalised:
    """A callable object with an attribute."""

    def __init__(self):
        self.lam = 0.0

    def __call__(self, w, e):
        return (w - e) ** 2 + self.lam * w**2


class Module(eqx.Module):
    scale: float

    def __call__(self, w, e):
        return (w - e) ** 2 + (self.scale + lam) * w**2


def nested(w, e):
    inner = lambda x: x * lam * w  # noqa: E731
    return (w - e) ** 2 + inner(w)


@eqx.filter_jit
def filtered_penalty(w):
    return lam * w**2


def decay(t, y, args):
    """dy/dt = λ: from w² at 0 to w² + λ at 1, a global of a module-level function in diffrax's own jit."""
    return lam * jnp.ones_like(y)


def solved(w):
    flow = diffrax.diffeqsolve(diffrax.ODETerm(decay), diffrax.Euler(), 0.0, 1.0, 1.0, 0 * w, max_steps=1)
    return flow.ys[0] * w**2


READERS = {
    "a global": lambda w, e: (w - e) ** 2 + lam * w**2,
    "an attribute": lambda w, e: (w - e) ** 2 + box.lam * w**2,
    "an array changed in place": lambda w, e: (w - e) ** 2 + table[0] * w**2,
    "a callable object": Penalised(),
    "a module": Module(0.0),
    "a partial": functools.partial(lambda scale, w, e: (w - e) ** 2 + (scale + lam) * w**2, 0.0),
    "an inner function": nested,
    "a function of its own jit": lambda w, e: (w - e) ** 2 + compiled_penalty(w),
    "equinox's jit": lambda w, e: (w - e) ** 2 + filtered_penalty(w),
    "a vector field of diffrax": lambda w, e: (w - e) ** 2 + solved(w),
    "a scan's body": lambda w, e: (w - e) ** 2 + jax.lax.scan(body, 0.0, None, 1)[0] * w**2,
    "a rule of differentiation": lambda w, e: (w - e) ** 2 + with_rule(w) - w**2,
    "a host's callback": lambda w, e: (w - e) ** 2 + lam * w**2 + 0 * jax.lax.stop_gradient(w),
}


def set_outside(value, loss):
    global lam
    lam = box.lam = table[0] = value
    if isinstance(loss, Penalised):
        loss.lam = value


SLOW = "a vector field of diffrax"


@pytest.mark.parametrize("reader", [pytest.param(x, marks=[pytest.mark.slow] if x == SLOW else []) for x in READERS])
def test_a_loss_sees_what_it_reads_from_outside(reader):
    """SGD with S = N without replacement is gradient descent on (w − x̄)² + λ w²: w₁ = w₀ − η (2 (w₀ − x̄) + 2 λ w₀)."""
    loss = READERS[reader]
    set_outside(0.0, loss)
    problem = sg.Problem(loss, jnp.array(1.0), X)
    ends = {}
    for value in (0.0, 5.0, 0.0):
        set_outside(value, loss)
        dynamics = sg.SGD(0.01, 40, "no_replacement")
        run = sg.simulate(dynamics, problem, num_steps=1, replicas=2, key=jr.key(0), observables={"w": lambda w: w})
        expected = 1 - 0.01 * (2 * (1 - X.mean()) + 2 * value * 1.0)
        np.testing.assert_allclose(run.values["w"][:, -1], expected, rtol=1e-6, err_msg=f"{reader} at {value}")
        ends[value] = run.values["w"][0, -1]
    assert ends[0.0] != ends[5.0]
    set_outside(0.0, loss)


def test_gap_card_and_spectrum_see_it_too():
    set_outside(0.0, None)
    problem = sg.Problem(READERS["a global"], jnp.array(1.0), X)
    arguments = dict(num_steps=2, replicas=4, key=jr.key(0), observables={"w": lambda w: w})

    def measured():
        card = sg.validity_card(problem, 0.05, 4, key=jr.key(0))
        top = sg.curvature.top_eigenpairs(problem, problem.params, key=jr.key(0)).eigenvalues[0]
        gap = sg.predict_gap(problem, 0.05, 4, **arguments).mean["w"][-1]
        return card.top_eigenvalue, float(top), card.gradient_norm_squared, gap

    first = measured()
    set_outside(5.0, None)
    second = measured()
    set_outside(0.0, None)
    assert first[:2] == pytest.approx((2, 2))
    assert second[:2] == pytest.approx((12, 12))
    assert second[2] == pytest.approx((2 * (1 - X.mean()) + 10) ** 2, rel=1e-5)
    assert abs(second[3]) > 2 * abs(first[3])


def test_a_schedule_sees_it_and_time_and_steps_agree():
    """Gradient descent on (w − x̄)²: w_n − x̄ = (1 − 2η)^n (w₀ − x̄) for the rate of the call."""
    rate = {"value": 0.01}
    schedule = lambda n: rate["value"] * jnp.ones(())  # noqa: E731
    problem = sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), X)
    for value in (0.01, 0.1, 0.02):
        rate["value"] = value
        run = sg.simulate(
            sg.SGD(schedule, 40, "no_replacement"),
            problem,
            num_steps=5,
            save_every=5,
            replicas=1,
            key=jr.key(0),
            observables={"w": lambda w: w},
        )
        assert run.time[-1] == pytest.approx(5 * value, rel=1e-6)
        expected = X.mean() + (1 - 2 * value) ** 5 * (1 - X.mean())
        assert run.values["w"][0, -1] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", ["a global", "an array", "an attribute"])
def test_an_observable_sees_it(kind):
    outside = {"factor": 1.0, "array": np.ones(1), "object": types.SimpleNamespace(factor=1.0)}
    functions = {
        "a global": lambda w: w * outside["factor"],
        "an array": lambda w: w * outside["array"][0],
        "an attribute": lambda w: w * outside["object"].factor,
    }
    problem = sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), X)
    for factor in (1.0, 3.0):
        outside["factor"] = outside["array"][0] = outside["object"].factor = factor
        observables = {"w": functions[kind]}
        run = sg.simulate(sg.SGD(0.1, 4), problem, num_steps=1, replicas=2, key=jr.key(0), observables=observables)
        assert run.values["w"][0, 0] == pytest.approx(factor)


# -- what compiles ---------------------------------------------------------------------------------------------


def _compilations(call):
    """How often XLA is asked to compile during a call."""
    count = []
    listener = lambda name, duration, **_: count.append(name) if "backend_compile" in name else None  # noqa: E731
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        call()
    finally:
        jax.monitoring.unregister_event_duration_listener(listener)
    return len(count)


def _run(loss, schedule, observable, data=X, key=0):
    problem = sg.Problem(loss, jnp.array(1.0), data, chunk_size=40)
    dynamics = sg.SDE(schedule, 4)
    sg.simulate(dynamics, problem, num_steps=4, replicas=2, key=jr.key(key), observables={"o": observable})


def test_recreated_functions_of_the_same_program_compile_nothing():
    factor = 2.0

    def functions():
        return lambda w, e: factor * (w - e) ** 2, lambda n: 0.01 + 0.001 * n, lambda w: factor * w

    assert _compilations(lambda: _run(*functions())) > 0
    assert _compilations(lambda: _run(*functions(), data=X + 1, key=1)) == 0
    factor = 3.0
    assert _compilations(lambda: _run(*functions())) > 0
    assert _compilations(lambda: _run(*functions())) == 0
    factor = 2.0
    assert _compilations(lambda: _run(*functions())) == 0


def test_a_neural_net_and_its_activation_are_known_by_their_programs():
    """Loops, branches, custom rules and callbacks of a program have the same digest each time they are traced."""

    def loss(w, e):
        y = jax.nn.relu(w * e) + jax.nn.softmax(jnp.stack([w, e]))[0] + jax.scipy.special.logsumexp(w * e)
        y = jax.lax.cond(e > 0, lambda x: x, lambda x: -x, y)
        y = jax.lax.fori_loop(0, 3, lambda _, x: x * 0.9, y)
        return y + jax.checkpoint(jnp.sin)(w)

    one, two = (freshness.of(lambda w, e: loss(w, e), jnp.ones(()), jnp.ones(())) for _ in range(2))
    assert one.known == two.known
    other = freshness.of(lambda w, e: loss(w, e) * (1 + 1e-7), jnp.ones(()), jnp.ones(()))
    assert one.known != other.known


def test_constants_are_part_of_a_program():
    arrays = [np.arange(5.0), np.arange(5.0), np.arange(5.0) + 1e-6, np.arange(5)]
    digests = [freshness.of(lambda w, a=a: jnp.sum(w * jnp.asarray(a)), jnp.ones(())).known.digest for a in arrays]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_callback_is_known_by_its_code_and_what_it_closes_over():
    def reader(scale):
        def host(w):
            return np.asarray(scale * w)

        return lambda w: jax.pure_callback(host, jax.ShapeDtypeStruct((), w.dtype), w)

    one, same, other = (freshness.of(reader(s), jnp.ones(())).known for s in (2.0, 2.0, 3.0))
    assert one == same
    assert one != other


def test_arrays_that_a_module_carries_are_inputs_and_no_constants():
    class Scaled(eqx.Module):
        factor: jax.Array

        def __call__(self, w):
            return w * self.factor

    one, two = (freshness.of(Scaled(jnp.asarray(x)), jnp.ones(())) for x in (1.0, 2.0))
    assert one.known == two.known
    assert float(two(jnp.asarray(3.0))) == 6.0


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda w: float(w), "ConcretizationTypeError"),
        (lambda w: np.linalg.norm(w), "TracerArrayConversionError"),
        (lambda w: w if w > 0 else -w, "TracerBoolConversionError"),
        (lambda w: w.no_such_attribute, "AttributeError"),
        (lambda: 0.0, "TypeError"),
        (lambda w: {}["missing"], "KeyError"),
    ],
)
def test_what_cannot_be_traced_is_refused_in_one_line(function, message):
    with pytest.raises(sg.InputError, match=message) as caught:
        freshness.of(function, jnp.ones(()), what="observable 'a'")
    assert str(caught.value).startswith("observable 'a' can't be traced by JAX (")
    assert len(str(caught.value)) <= 300
    assert "\n" not in str(caught.value)


def test_an_observable_without_reverse_mode_is_fine():
    """A while loop can't be differentiated backwards, and nobody asks an observable for it."""

    def halvings(w):
        return jax.lax.while_loop(lambda c: c[1] > 1e-3, lambda c: (c[0] + 1.0, c[1] / 2), (0.0 * w, jnp.abs(w) + 1))[0]

    problem = sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), X)
    run = sg.simulate(sg.SGD(0.01, 4), problem, num_steps=1, replicas=1, key=jr.key(0), observables={"n": halvings})
    assert run.values["n"][0, 0] == 11  # 2 / 2¹¹ < 10⁻³


class Scaled:
    def __init__(self, scale):
        self.scale = scale

    def host(self, w):
        return np.asarray(self.scale * w)


def test_a_host_callback_that_is_a_method_is_that_of_its_object():
    problem = sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), X)

    def first_value(table):
        shape = jax.ShapeDtypeStruct((), problem.params.dtype)
        seen = {"h": lambda w: jax.pure_callback(table.host, shape, w, vmap_method="sequential")}
        run = sg.simulate(sg.SGD(0.01, 4), problem, num_steps=1, replicas=1, key=jr.key(0), observables=seen)
        return run.values["h"][0, 0]

    assert [first_value(Scaled(scale)) for scale in (2.0, 3.0)] == [2.0, 3.0]


@pytest.mark.parametrize("wide", [True, False])
def test_integers_are_saved_as_they_are_in_double_precision(wide):
    with jax.enable_x64(wide):
        problem = sg.Problem(lambda w, e: (w - e) ** 2, jnp.array(1.0), X)
        big = {"n": lambda w: jnp.asarray(2**24 + 1)}
        run = sg.simulate(sg.SGD(0.01, 4), problem, num_steps=1, replicas=1, key=jr.key(0), observables=big)
    assert run.values["n"][0, 0] == 2**24 + (1 if wide else 0)
