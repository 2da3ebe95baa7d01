"""The state of a running simulation on disk, so that the same call goes on after an interruption, bit for bit.

A file is a line of JSON, which says whose state it is, and the bytes of its arrays. Their number is known from the
call, so nothing in a file decides how much is read.
"""

import hashlib
import json
import time
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import PyTree

from sdesgd import files
from sdesgd.errors import InputError, one_line, shown
from sdesgd.inputs import is_key
from sdesgd.types import PathLike

# A kill costs the work of this many seconds, and of the compiled call that it falls into.
_SECONDS = 60.0
_MAGIC, _HEADER = b"sdesgd checkpoint\n", 4096
_Tables = dict[str, np.ndarray]


class Checkpoint:
    """The file of one run.

    Args:
        path: of the file.
        identity: of the run, see ``checkpoint_identity``.
        counts: its steps, and steps per save.

    Raises:
        InputError: nothing can be written there.
    """

    def __init__(self, path: PathLike, identity: dict[str, str], counts: tuple[int, int]):
        files.check_writable(path)
        self.counts, self.done = counts, -1  # of steps, those in the file
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
        templates = [_plain(leaf) for leaf in leaves]
        tables = [values[name] for name in sorted(values)]
        try:
            with files.opened(self.path) as (file, size):
                header = self._header(file.read(len(_MAGIC) + _HEADER))
                saved, done, start = header["saved"], header["done"], header["bytes before"]
                if size - start != sum(x.nbytes for x in [*templates, *(table[:, :saved] for table in tables)]):
                    raise ValueError(f"{size} bytes of {saved} saves")
                file.seek(start)
                body = file.read(size - start)
            if hashlib.blake2b(body, digest_size=16).hexdigest() != header["digest"]:
                raise ValueError("its bytes have changed")
        except files.MissingFile:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f"{self.path} is no checkpoint, or a damaged one ({one_line(str(error), 60)}): delete it, and the run "
                "begins anew"
            ) from None
        at, found = 0, []
        for leaf, template in zip(leaves, templates, strict=True):
            array = jnp.asarray(np.frombuffer(body, template.dtype, template.size, at).reshape(template.shape))
            at += template.nbytes
            found.append(jr.wrap_key_data(array, impl=jr.key_impl(leaf)) if is_key(leaf) else array)
        for table in tables:
            rows = table[:, :saved]
            rows[...] = np.frombuffer(body, table.dtype, rows.size, at).reshape(rows.shape)
            at += rows.nbytes
        self.done = done
        return jax.tree.unflatten(treedef, found), saved, done

    def _header(self, begin: bytes) -> dict[str, Any]:
        """What the first line says, of this run and possible."""
        line, end, _ = begin.removeprefix(_MAGIC).partition(b"\n")
        if not begin.startswith(_MAGIC) or not end:
            raise ValueError("it begins otherwise")
        header = json.loads(line)
        other = [name for name in self.identity if header["identity"].get(name) != self.identity[name]]
        if other:
            raise InputError(
                f"checkpoint {self.path} is of a run with other {', '.join(other)}: name another file for this run, or "
                "delete that one"
            )
        (total, every), saved, done = self.counts, header["saved"], header["done"]
        if type(saved) is not int or type(done) is not int or not 0 <= done <= total or saved != done // every + 1:
            raise ValueError(f"{shown(saved)} saves in {shown(done)} steps")
        return {**header, "bytes before": len(_MAGIC) + len(line) + 1}

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
        if done == self.done:
            return
        try:
            arrays = [*map(_plain, jax.tree.leaves(carry)), *(values[name][:, :saved] for name in sorted(values))]
            body = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
            digest = hashlib.blake2b(body, digest_size=16).hexdigest()
            header = {"identity": self.identity, "saved": saved, "done": done, "digest": digest}
            files.write(self.path, b"".join([_MAGIC, json.dumps(header).encode(), b"\n", body]))
            self.done = done
        except (InputError, MemoryError, OSError) as error:
            warnings.warn(f"no checkpoint was kept: {error}", RuntimeWarning, stacklevel=5)
        self.written = time.monotonic()


def _plain(leaf: Any) -> np.ndarray:
    """An array with bytes of its own, which a random key of JAX hasn't."""
    return np.asarray(jr.key_data(leaf) if is_key(leaf) else leaf)
