"""Where numbers are computed: versions, device, cores, and JAX's settings."""

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax

PACKAGES = (
    *("jax", "jaxlib", "numpy", "scipy", "equinox", "diffrax", "lineax", "optax", "optimistix", "matfree", "numpyro"),
    *("sympy", "xarray", "mlxtend", "scikit-learn", "mnist1d", "kaldiio"),
)
# Settings of the libraries below us: the first can change any number, the others how it is rounded.
_FLAGS, _THREADS = ("XLA_FLAGS",), ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
ROUNDING = ("processor", "cores", "devices", *_THREADS)
# Beginnings of the names of instructions that XLA compiles to, on x86 and ARM.
_VECTOR = ("sse", "ssse", "avx", "fma", "f16c", "bmi", "amx", "asimd", "neon", "sve")
# Settings of JAX that change the numbers, and how to set them in another thread or process.
_MODES = {
    "enable_x64": jax.enable_x64,
    "default_prng_impl": jax.default_prng_impl,
    "threefry_partitionable": jax.threefry_partitionable,
    "default_matmul_precision": jax.default_matmul_precision,
}


def modes() -> dict[str, Any]:
    """JAX's settings in this thread that change the numbers."""
    return {name: getattr(jax.config, f"jax_{name}") for name in _MODES}


@contextlib.contextmanager
def applied(wanted: Mapping[str, Any]) -> Iterator[None]:
    """These modes, in this thread."""
    with contextlib.ExitStack() as stack:
        for name, value in wanted.items():
            stack.enter_context(_MODES[name](value))
        yield


def machine() -> dict[str, Any]:
    """The environment of this process. Equal ones give equal bits; equal but for ``ROUNDING``, see ``rounding``."""
    return {**versions(), **settings(), **hardware()}


def settings() -> dict[str, Any]:
    """The kind of device, and what XLA was told."""
    device = _device()
    return {"device": f"{device.platform} {device.device_kind}", **_variables(_FLAGS)}


def hardware() -> dict[str, Any]:
    """What changes how an operation is rounded and nothing else, so that unequal machines can share a folder."""
    device = _device()
    kind = processor() if device.platform == "cpu" else device.device_kind
    return {"processor": kind, "cores": cores(), "devices": jax.device_count(), **_variables(_THREADS)}


def deciding(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Of an environment, what can change more than rounding."""
    return {name: value for name, value in environment.items() if name not in ROUNDING}


def rounding(environment: Mapping[str, Any]) -> dict[str, Any]:
    """The rest of it: another operation's last bit, which a long run amplifies to another draw of the same law."""
    return {name: environment[name] for name in ROUNDING if name in environment}


def _device() -> Any:
    device = default_device()
    return jax.devices(device)[0] if device is None or isinstance(device, str) else device


def _variables(names: Iterable[str]) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def versions() -> dict[str, str]:
    """Of Python and of the packages that a number can depend on."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def default_device() -> Any:
    """This thread's setting, None if there is none."""
    return getattr(jax.config, "jax_default_device", None)


def cores() -> int:
    """Cores that this process may use: XLA's number of threads, which splits its reductions."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@functools.cache
def processor() -> str:
    """The processor's model and its vector instructions: XLA compiles for those it has."""
    try:
        return described_processor(Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return platform.processor() or platform.machine()


def described_processor(cpuinfo: str) -> str:
    """The first processor of a /proc/cpuinfo. A model's name doesn't tell its instructions on virtual machines."""
    lines = [line.partition(":") for line in cpuinfo.split("\n\n", 1)[0].splitlines()]
    fields = {name.strip(): value.strip() for name, _, value in lines}
    flags = sorted(set(fields.get("flags", fields.get("Features", "")).split()))
    vector = [flag for flag in flags if flag.startswith(_VECTOR)]
    model = fields.get("model name") or platform.processor() or platform.machine()
    return f"{model} {hash_of(vector)[:8]}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any], most: int = 4) -> str:
    """What differs between two mappings, in words: "jax 0.10.1 → 0.10.2, cores 4 → 2"."""
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    told = [f"{name} {before.get(name, 'absent')} → {now.get(name, 'absent')}" for name in names[:most]]
    return ", ".join(told) + (f" and {len(names) - most} more" if len(names) > most else "")


def hash_of(value: Any) -> str:
    """SHA-256 of canonical JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


@functools.cache
def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "absent"
