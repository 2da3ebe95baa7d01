"""The state of a running simulation on disk, so that the same call goes on after an interruption, bit for bit.

A file is a line of JSON, which says whose state it is, and the bytes of its arrays. Their number is known from the
call, so nothing in a file decides how much is read.
"""

import hashlib
import json
import os
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from sdesgd import files, freshness
from sdesgd.errors import InputError, one_line
from sdesgd.inputs import is_key

# Work that a kill may cost, but for one compiled call.
_SECONDS = 60.0
_MAGIC, _FORMAT, _HEADER = b"sdesgd checkpoint\n", 1, 4096
_Tables = dict[str, np.ndarray]


def identity_of(**parts: Any) -> dict[str, str]:
    """part → digest of what it holds; of what decides the numbers of a run, and of the versions that compute them.

    Args:
        parts: pytrees, with functions as of this call.
    """
    versions = {"jax": jax.__version__, "platform": jax.default_backend(), "format": _FORMAT}
    return {name: freshness.digest_of(part) for name, part in {**parts, "versions": versions}.items()}


class Checkpoint:
    """The file of one run.

    Args:
        path: of the file.
        identity: of the run, see ``identity_of``.
        counts: its steps, and steps per save.

    Raises:
        InputError: nothing can be written there.
    """

    def __init__(self, path: str | os.PathLike, identity: dict[str, str], counts: tuple[int, int]):
        files.check_writable(path)
        self.counts = counts
        self.path, self.identity, self.written = path, identity, time.monotonic()

    def resume(self, carry: PyTree, values: _Tables) -> tuple[PyTree, int, int] | None:
        """(the state that was kept, saves and steps done), its saves filled into ``values``; None without a file.

        Args:
            carry: the state at the start: a pytree of arrays.
            values: name → (replicas, saves, …).

        Raises:
            InputError: no checkpoint, a damaged one, or one of another run (what differs is named).
        """
        leaves, treedef = jax.tree.flatten(carry)
        # JAX's arrays may be keys, which have no bytes of their own.
        templates = [_plain(leaf) for leaf in leaves]
        state, table = (sum(x.nbytes for x in arrays) for arrays in (templates, values.values()))
        try:
            content = files.read_bytes(self.path, len(_MAGIC) + _HEADER + state + table)
        except files.MissingFile:
            return None
        begin, _, body = content.removeprefix(_MAGIC).partition(b"\n")
        try:
            if not content.startswith(_MAGIC) or len(begin) > _HEADER:
                raise ValueError("it begins otherwise")
            header = json.loads(begin)
            other = [name for name in self.identity if header["identity"].get(name) != self.identity[name]]
            if other:
                raise InputError(
                    f"checkpoint {self.path} is of a run with other {', '.join(other)}: name another file for this "
                    "run, or delete that one"
                )
            saved, done = int(header["saved"]), int(header["done"])
            self._check_counts(saved, done, [state, *(x[:, :1].nbytes for x in values.values())], len(body))
            if hashlib.blake2b(body, digest_size=16).hexdigest() != header["digest"]:
                raise ValueError("its bytes have changed")
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise InputError(
                f"{self.path} is no checkpoint, or a damaged one ({one_line(str(error), 60)}): delete it, and the run "
                "begins anew"
            ) from None
        at, found = 0, []
        for leaf, template in zip(leaves, templates, strict=True):
            array = np.frombuffer(body, template.dtype, template.size, at).reshape(template.shape)
            at += template.nbytes
            found.append(jr.wrap_key_data(jnp.asarray(array), impl=jr.key_impl(leaf)) if is_key(leaf) else array)
        for array in values.values():
            rows = array[:, :saved]
            rows[...] = np.frombuffer(body, array.dtype, rows.size, at).reshape(rows.shape)
            at += rows.nbytes
        found = [jnp.asarray(x) if isinstance(x, np.ndarray) else x for x in found]
        return jax.tree.unflatten(treedef, found), saved, done

    def _check_counts(self, saved: int, done: int, sizes: list[int], there: int) -> None:
        total, every = self.counts
        if not 0 <= done <= total or saved != done // every + 1:
            raise ValueError(f"{saved} saves in {done} steps")
        if there != sizes[0] + saved * sum(sizes[1:]):
            raise ValueError(f"{there} bytes of {saved} saves")

    def due(self) -> bool:
        """Whether a minute has passed since the last one."""
        return time.monotonic() - self.written > _SECONDS

    def write(self, carry: PyTree, values: _Tables, saved: int, done: int) -> None:
        """Keeps the state, whole or not at all; where that fails the run is worth more than its copy, and goes on.

        Args:
            carry: the state.
            values: name → (replicas, saves, …).
            saved: saves in them.
            done: steps.

        Warns:
            RuntimeWarning: it can't be written.
        """
        arrays = [*map(_plain, jax.tree.leaves(carry)), *(array[:, :saved] for array in values.values())]
        body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
        digest = hashlib.blake2b(body, digest_size=16).hexdigest()
        header = {"identity": self.identity, "saved": saved, "done": done, "digest": digest}
        try:
            files.write(self.path, _MAGIC + json.dumps(header).encode() + b"\n" + body)
        except InputError as error:
            warnings.warn(f"no checkpoint was kept: {error}", RuntimeWarning, stacklevel=4)
        self.written = time.monotonic()


def _plain(leaf: Any) -> np.ndarray:
    return np.asarray(jr.key_data(leaf) if is_key(leaf) else leaf)
