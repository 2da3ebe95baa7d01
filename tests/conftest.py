"""Settings of the whole suite: float64 available, one compilation cache for all workers."""

import tempfile
from pathlib import Path

import jax

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_compilation_cache_dir", str(Path(tempfile.gettempdir()) / "sdesgd-test-compilations"))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
