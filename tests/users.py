"""What a user has and the suite hasn't: JAX's default precision, and no runtime type checks."""

import contextlib
import warnings

import jax
import jaxtyping


@contextlib.contextmanager
def unchecked_types():
    """The library without the suite's runtime type checks.

    For hundreds of repetitions of the same calls: the checks of one small NumPy function cost ten times the function,
    and other tests make them on the same functions.
    """
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


@contextlib.contextmanager
def as_a_user(x64=False):
    """JAX as it is by default, and the library without the suite's type checks, which a user doesn't have."""
    with unchecked_types(), jax.enable_x64(x64), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
