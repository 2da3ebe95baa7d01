"""Splicing: a speech frame with its neighbours, the input of a frame classifier."""

import numpy as np

CONTEXT = 4  # frames on each side
NUM_BANDS = 40  # filter-bank channels of one frame
WIDTH = (2 * CONTEXT + 1) * NUM_BANDS  # 360


def windows(positions: np.ndarray, num_frames: int) -> np.ndarray:
    """(n, 9): the frames t − 4, …, t, …, t + 4 around each position t; beyond an edge, the edge frame again.

    Args:
        positions: (n,) frames of one utterance.
        num_frames: T of the utterance.
    """
    return np.clip(positions[:, None] + np.arange(-CONTEXT, CONTEXT + 1), 0, num_frames - 1)


def splice(frames: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """(n, 360): the chosen frames of one utterance (T, 40) with their neighbours, from frame −4 to frame +4."""
    return frames[windows(positions, len(frames))].reshape(len(positions), -1)
