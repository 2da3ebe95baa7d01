"""What a user sees of bad input: one line. The suite's runtime type checks stand aside; users run without them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import jaxtyping
import pytest

from sdesgd.errors import InputError


@contextlib.contextmanager
def as_users_run() -> Iterator[None]:
    """Without the runtime type checks of the suite."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        yield
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)


def refused(call: Callable[[], Any], message: str) -> str:
    """Asserts that the call is refused in one line of at most 300 characters that matches; returns the line."""
    with as_users_run(), pytest.raises(InputError, match=message) as found:
        call()
    line = str(found.value)
    assert len(line) <= 300, line
    assert "\n" not in line
    return line
