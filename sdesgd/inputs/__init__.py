"""The one entrance: what comes from a user is converted and checked here, and a refusal names the leaf.

Arrays get the native byte order and a numeric dtype that JAX computes in; what the conversion would change without a
word (a mask, integers beyond the dtype, a column that becomes one number) is refused.
"""

from sdesgd.inputs.arrays import as_array, as_float64, check_finite, is_key, leaf_name
from sdesgd.inputs.pytrees import as_data, as_params
from sdesgd.inputs.scalars import (
    as_key,
    check_mapping_of_functions,
    check_number,
    check_positive_integer,
    check_representable,
)

__all__ = [
    "as_array",
    "as_data",
    "as_float64",
    "as_key",
    "as_params",
    "check_finite",
    "check_mapping_of_functions",
    "check_number",
    "check_positive_integer",
    "check_representable",
    "is_key",
    "leaf_name",
]
