"""What a user sees of bad input: one line."""

from collections.abc import Callable
from typing import Any

import pytest

from sdesgd.errors import InputError
from tests.users import unchecked_types


def refused(call: Callable[[], Any], message: str) -> str:
    """Asserts that the call is refused in one line of at most 300 characters that matches; returns the line."""
    with unchecked_types(), pytest.raises(InputError, match=message) as found:
        call()
    line = str(found.value)
    assert len(line) <= 300, line
    assert "\n" not in line
    return line
