"""What a user has and the suite hasn't: JAX's default precision, and no runtime type checks."""

import contextlib
import warnings

import jax
import jaxtyping


@contextlib.contextmanager
def as_a_user(x64=False):
    """JAX as it is by default, and the library without the suite's type checks, which a user doesn't have."""
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with jax.enable_x64(x64), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
