"""Which option may be meant by one that there isn't: ``--lr``, ``--batchsize``, ``--learning_rate``."""

import difflib
from collections.abc import Iterable

# What others call an option, without hyphens → what it may be called here, the likeliest first.
_RATE = ("learning-rate", "learning-rates", "rates")
_BATCH = ("batch-size", "batch-sizes", "net-batch-size")
_STEPS = ("num-steps", "steps", "budget-size", "max-steps")
_EXAMPLES = ("num-examples", "examples")
_NET = ("model", "problem", "problems", "potential")
_REPLICAS = ("replicas", "runs", "seeds", "passages")
_MEANT = {
    **dict.fromkeys(("lr", "learningrate", "learningrates", "eta", "stepsize", "rate", "alpha"), _RATE),
    **dict.fromkeys(("b", "bs", "s", "batch", "batchsize", "minibatch", "minibatchsize"), _BATCH),
    **dict.fromkeys(("k", "steps", "nsteps", "numsteps", "iterations", "iters", "updates", "epochs"), _STEPS),
    **dict.fromkeys(("n", "samples", "nsamples", "numsamples", "ntrain", "trainsize", "datasetsize"), _EXAMPLES),
    **dict.fromkeys(("ntest", "testsize", "testexamples"), ("num-test",)),
    **dict.fromkeys(("m", "beta", "mu", "heavyball", "momenta"), ("momentum", "momenta", "friction")),
    **dict.fromkeys(("units", "hidden", "hiddensize", "hiddenunits", "neurons", "widthsize"), ("width",)),
    **dict.fromkeys(("layers", "numlayers", "hiddenlayers"), ("depth",)),
    **dict.fromkeys(("dataset", "datasets"), ("data",)),
    **dict.fromkeys(("datafolder", "datapath", "dataroot"), ("data-dir",)),
    **dict.fromkeys(("net", "network", "arch", "architecture", "model", "problem"), _NET),
    **dict.fromkeys(("reps", "repeats", "trials", "ensemble", "numreplicas", "nreplicas", "seeds"), _REPLICAS),
    **dict.fromkeys(("t", "temp", "temperature"), ("temperatures", "ratios")),
    **dict.fromkeys(("rng", "randomseed", "randomstate", "seeds"), ("seed",)),
    **dict.fromkeys(("o", "out", "output", "outdir", "outputdir", "dir", "folder"), ("results", "folder")),
    **dict.fromkeys(("fig", "plot", "save", "png", "svg"), ("figure",)),
    **dict.fromkeys(("load", "redraw", "run", "resume", "fromrun"), ("from",)),
    **dict.fromkeys(("j", "jobs", "processes", "nproc", "cores", "threads"), ("workers",)),
    **dict.fromkeys(("time", "minutes", "timeout", "maxtime"), ("max-minutes", "minutes", "net-time")),
    **dict.fromkeys(("ell", "l", "svag"), ("svag-ell", "ells")),
    **dict.fromkeys(("tol", "tolerance", "eps", "epsilon"), ("margin",)),
    **dict.fromkeys(("cache", "nocache"), ("no-compilation-cache",)),
    **dict.fromkeys(("v", "ver"), ("version",)),
    **dict.fromkeys(("h", "usage"), ("help",)),
}


def meant(name: str, known: Iterable[str]) -> str | None:
    """The option that is likeliest meant, with its hyphens; None if none is near.

    Args:
        name: as it was given, such as ``--lr``.
        known: the options that there are, such as ``--learning-rate``.
    """
    options = {_bare(option): option for option in known}
    bare = _bare(name)
    if bare in options:
        return options[bare]
    for candidate in _MEANT.get(bare, ()):
        if _bare(candidate) in options:
            return options[_bare(candidate)]
    # A letter or two are near to everything.
    near = difflib.get_close_matches(bare, options, n=1, cutoff=0.6) if len(bare) > 2 else []
    return options[near[0]] if near else None


def _bare(option: str) -> str:
    return option.lower().replace("-", "").replace("_", "")
