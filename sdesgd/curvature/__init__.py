"""H, the Hessian of the mean loss: products and eigenpairs, without a D × D array."""

from sdesgd.curvature.dense import hessian_matrix
from sdesgd.curvature.hessian import Eigenpairs, hessian_product, top_eigenpairs

__all__ = ["Eigenpairs", "hessian_matrix", "hessian_product", "top_eigenpairs"]
