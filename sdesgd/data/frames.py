"""Synthetic speech-like frames in TIMIT's shape: a hidden Markov chain of 1,973 states seen through 40 channels.

One "language", the same for every seed:

    units        657 of three states and one of two, left to right, each passed through in order;
    frequencies  p(unit of rank r) ∝ 1 / (r + 20), r = 0 … 657 (Zipf–Mandelbrot), units drawn independently;
    dwell        a state lasts d ≥ 1 frames, d geometric with mean 3;
    means        μ_s = B z_s, z_s ~ N(0, I₁₂), B (40 × 12) smooth along the channels, each channel of variance 1.

The frames of an utterance, t = 0 … 299, with ρ = 0.5 and σ = 0.7:

    x₀ = μ_{s₀} + σ ξ₀,    x_t = ρ x_{t−1} + (1 − ρ) μ_{s_t} + σ √(1 − ρ²) ξ_t,    ξ_t ~ N(0, I₄₀),
    y_t = a + b ∘ x_t      (a, b: a channel's level and spread, as log filter-bank energies have them).

Inputs are y spliced from frame −4 to frame +4. Utterances are drawn from the caller's seed, training and held-out
ones apart, so that no window holds frames of both. Eight times as many frames are laid out as asked for, so that the
chosen ones come from many utterances; only what is chosen is kept.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sdesgd.data.loader import Info, Part, Parts, Request
from sdesgd.data.splicing import NUM_BANDS, WIDTH, windows

INFO = Info(
    name="frames",
    what="generated HMM frames like timit's",
    examples="any",
    shape=(WIDTH,),
    num_classes=1973,
    how="generated",
    per_feature=True,
)
LANGUAGE_SEED = 1973
LENGTH = 300  # frames of an utterance
PERSISTENCE = 0.5  # ρ
NOISE = 0.7  # σ, in standard deviations of a channel's means over the states
MEAN_DWELL = 3.0  # frames in a state
SURPLUS = 8  # frames laid out for each one asked for
_BLOCK = 128  # utterances made at a time
_RANK = 12


class Language(NamedTuple):
    """frequencies: (units,); first, size: (units,) first state and number of states; means: (1973, 40);
    level, spread: (40,)."""

    frequencies: np.ndarray
    first: np.ndarray
    size: np.ndarray
    means: np.ndarray
    level: np.ndarray
    spread: np.ndarray


def language() -> Language:
    """The fixed parameters of the chain."""
    rng = np.random.default_rng(LANGUAGE_SEED)
    full, rest = divmod(INFO.num_classes, 3)
    size = np.array([3] * full + [rest])
    weights = 1 / (np.arange(len(size)) + 20.0)
    frequencies = rng.permutation(weights / weights.sum())
    band = np.linspace(0, 1, NUM_BANDS)[:, None]
    basis = np.exp(-0.5 * ((band - np.linspace(0, 1, _RANK)) / 0.06) ** 2)
    basis /= np.sqrt((basis**2).sum(axis=1, keepdims=True))
    means = rng.standard_normal((INFO.num_classes, _RANK)) @ basis.T
    level, spread = 12 - 6 * band[:, 0], rng.uniform(1, 3, NUM_BANDS)
    return Language(frequencies, np.cumsum(size) - size, size, means.astype(np.float32), level, spread)


def missing(folder: Path | None) -> str | None:
    """Nothing is needed; see ``loader.Loader``."""
    return None


def read(request: Request) -> Parts:
    """A training and a held-out part from one seed, each with at least as many frames as asked for.

    With ``balanced`` the training part grows until every state has its share.
    """
    spoken = language()
    share = -(-request.num_examples // INFO.num_classes) if request.balanced else 0
    train = _part(spoken, [request.seed, 2], request.num_examples, share)
    test = _part(spoken, [request.seed, 3], request.num_test, 0)
    return Parts(train, test, f"synthetic HMM frames, seed {request.seed}")


def _part(spoken: Language, seed: list[int], num_frames: int, share: int) -> Part:
    # [seed, 0] and [seed, 1] are the streams of the subset and of the label noise.
    num_utterances = -(-SURPLUS * num_frames // LENGTH)
    states = state_sequences(spoken, num_utterances, np.random.default_rng(seed))
    while np.bincount(states.ravel(), minlength=INFO.num_classes).min() < share:
        num_utterances *= 2
        states = state_sequences(spoken, num_utterances, np.random.default_rng(seed))

    def rows(indices: np.ndarray) -> np.ndarray:
        chosen = np.empty((len(indices), WIDTH), np.float32)
        utterance, position = np.divmod(indices, LENGTH)
        around = windows(position, LENGTH)
        for block in np.unique(utterance // _BLOCK):
            start = int(block) * _BLOCK
            mine = np.flatnonzero(utterance // _BLOCK == block)
            spectra = emissions(spoken, states[start : start + _BLOCK], np.random.default_rng([*seed, int(block) + 1]))
            chosen[mine] = spectra[utterance[mine, None] - start, around[mine]].reshape(len(mine), -1)
        return chosen

    return Part(rows, states.ravel())


def state_sequences(spoken: Language, num_utterances: int, rng: np.random.Generator) -> np.ndarray:
    """(utterances, 300) states: one long stream of units, cut."""
    total = num_utterances * LENGTH
    pieces: list[np.ndarray] = []
    have = 0
    while have < total:
        units = rng.choice(len(spoken.size), (total - have) // 8 + 64, p=spoken.frequencies)
        sizes = spoken.size[units]
        within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        states = np.repeat(spoken.first[units], sizes) + within
        pieces.append(np.repeat(states, rng.geometric(1 / MEAN_DWELL, len(states))).astype(np.int32))
        have += len(pieces[-1])
    return np.concatenate(pieces)[:total].reshape(num_utterances, LENGTH)


def emissions(spoken: Language, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(utterances, 300, 40) float32: the frames y of the module's equations, for states (utterances, 300)."""
    frames = np.empty((*states.shape, NUM_BANDS), np.float32)
    noise = rng.standard_normal(frames.shape, dtype=np.float32)
    frames[:, 0] = spoken.means[states[:, 0]] + NOISE * noise[:, 0]
    fresh = NOISE * np.sqrt(1 - PERSISTENCE**2)
    for t in range(1, states.shape[1]):
        pull = (1 - PERSISTENCE) * spoken.means[states[:, t]]
        frames[:, t] = PERSISTENCE * frames[:, t - 1] + pull + fresh * noise[:, t]
    return (spoken.level + spoken.spread * frames).astype(np.float32)
