"""A disk of its own, and a limit on the size of files, as ``ulimit -f`` sets it."""

import contextlib
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

_SYS_ADMIN = 21  # the capability that mounting takes, capabilities(7)


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """Files written by this process end at so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def may_mount() -> bool:
    """Whether the kernel lets this process mount, which on Linux root may, and few others."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    effective = [int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")]
    return bool(effective and effective[0] >> _SYS_ADMIN & 1)


@contextlib.contextmanager
def mounted(place: Path, kilobytes: int) -> Iterator[None]:
    """A file system in memory at ``place``; one that can't be mounted although this process may is an error."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
