"""TIMIT frames: 40 filter-bank channels with 4 frames on each side, and the HMM state (pdf-id) of each frame.

TIMIT is licensed (LDC93S1), so the user brings Kaldi's features and forced alignments:

    DIR/train/feats.scp or feats.ark    T × 40 a frame's channels (or T × 360, spliced already)
    DIR/train/ali.scp   or ali.ark      T states 0 … 1972, int32 vectors, as by ali-to-pdf
    DIR/test/                           the same

Where both are there the scp is read. Its lines are ``utterance path:offset``, paths from the scp's own folder, or
absolute; one that is absolute or holds ``..`` has to lead to a file below DIR. Pipes, slices and compressed files are
refused, and so is a table of more than 2 GiB. Every utterance with features needs an alignment of as many frames;
alignments without features are passed over.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from sdesgd.data import kaldi
from sdesgd.data.files import missing_folder, present
from sdesgd.data.loader import Info, Part, Parts, Request, missing_package
from sdesgd.data.splicing import NUM_BANDS, WIDTH, splice
from sdesgd.errors import InputError

INFO = Info(
    name="timit",
    what="speech frames, HMM states",
    examples="the archives'",
    shape=(WIDTH,),
    num_classes=1973,
    how="licensed (LDC93S1): write Kaldi's train/feats.scp and train/ali.scp (or .ark), and the same under test/, "
    "pass the folder as --data-dir",
    per_feature=True,
    reads_folder=True,
)


def missing(folder: Path | None) -> str | None:
    """The first table that is not there; see ``loader.Loader``."""
    fault = missing_package("kaldiio", "kaldiio") or missing_folder(folder)
    if fault or folder is None:
        return fault
    for part in ("train", "test"):
        for table in ("feats", "ali"):
            if not any(present(folder / part / f"{table}.{kind}") for kind in ("scp", "ark")):
                return f"{folder / part} has no {table}.scp, nor {table}.ark"
    return None


def read(request: Request) -> Parts:
    """Spliced frames (N, 360), made as they are asked for; labels 0 … 1972.

    Raises:
        InputError: a table that ``kaldi.read_table`` refuses; features without an alignment or of another length; a
            state above 1972; utterances some spliced and some not.
    """
    folder = request.folder or Path()
    train, test = (_read_part(folder / part, folder) for part in ("train", "test"))
    return Parts(train, test, f"TIMIT: Kaldi tables in {folder}")


def _read_part(folder: Path, root: Path) -> Part:
    features, states = (
        kaldi.read_table(folder / f"{table}.scp", folder / f"{table}.ark", kind, widths, root)
        for table, kind, widths in (("feats", "features", (NUM_BANDS, WIDTH)), ("ali", "alignment", ()))
    )
    for name, frames in features.items():
        found = states.get(name)
        if found is None:
            raise InputError(
                f"{folder}: utterance '{name}' has {len(frames)} frames of features and no alignment: align it, or "
                f"leave its features out"
            )
        if len(found) != len(frames):
            raise InputError(
                f"{folder}: utterance '{name}' has {len(frames)} frames of features, {len(found)} of alignment: make "
                f"both from the same audio and frame shift"
            )
        if found.min() < 0 or found.max() >= INFO.num_classes:
            raise InputError(
                f"{folder}: the alignment of utterance '{name}' has states {found.min()} to {found.max()}, not within "
                f"0 to {INFO.num_classes - 1}: write pdf-ids of a {INFO.num_classes}-state model, as by ali-to-pdf"
            )
    widths = {frames.shape[1] for frames in features.values()}
    if len(widths) > 1:
        raise InputError(f"{folder}: some utterances have {NUM_BANDS} columns, some {WIDTH}: splice all or none")
    return Part(_rows_of(list(features.values())), np.concatenate([states[name] for name in features]))


def _rows_of(utterances: list[np.ndarray]) -> Callable[[np.ndarray], np.ndarray]:
    """indices of frames, counted through all utterances → (n, 360); only these are spliced."""
    ends = np.cumsum([len(frames) for frames in utterances])

    def rows(indices: np.ndarray) -> np.ndarray:
        chosen = np.empty((len(indices), WIDTH), np.float32)
        owner = np.searchsorted(ends, indices, side="right")
        order = np.argsort(owner, kind="stable")
        for group in np.split(order, np.flatnonzero(np.diff(owner[order])) + 1):
            if not len(group):
                continue
            frames = utterances[owner[group[0]]]
            positions = indices[group] - (ends[owner[group[0]]] - len(frames))
            chosen[group] = frames[positions] if frames.shape[1] == WIDTH else splice(frames, positions)
        return chosen

    return rows
