"""The figure of sgd-vs-sde: that of the comparison."""

from matplotlib.figure import Figure

from experiments.sgd_vs_sde.result import Result


def draw(result: Result) -> Figure:
    """The comparison as ``sg.compare`` draws it.

    Args:
        result: of ``compute``.
    """
    return result.comparison.plot()
