"""The comparison. Upper panels: the mean of each observable along the runs of SGD, Gaussian SGD and the SDE.

Lower panels: SGD − SDE in standard deviations of one SGD run, and its two parts. A band that leaves the grey margin
shows a difference that counts; one that stays within it at every step, an equation that is good enough.
"""

from matplotlib.figure import Figure

from experiments.sgd_vs_sde.result import Result


def draw(result: Result) -> Figure:
    """The comparison as ``sg.compare`` draws it.

    Args:
        result: of ``compute``.
    """
    return result.comparison.plot()
