"""What is computed, kept, and computed anew, and what is said about it, in one process."""

import dataclasses
import importlib
import json
import re
import sys

import jax
import jax.numpy as jnp
import jax.random as jr
import pytest

from sdesgd import InputError, sweep
from sdesgd.store import environment, sources
from sdesgd.sweep import fingerprint, pools
from tests.sweep import small_cells
from tests.sweep.folders import cell_files, run_silently


def test_the_table_is_what_the_function_returns(whole):
    plan = small_cells.plan()
    rows = []
    for index, cell in enumerate(plan.cells):
        for seed in sorted(cell.seeds):
            key = jr.fold_in(jr.key(7), seed)
            rows.append(
                (index, cell.config["scale"], seed, float(small_cells.walk(jnp.float32(cell.config["scale"]), key)))
            )
    found = zip(*(whole[name].values.tolist() for name in ("cell", "scale", "seed", "end")), strict=True)
    assert list(found) == rows
    assert len({row[-1] for row in rows}) > len(rows) // 2  # different cells have different ends


def test_a_finished_sweep_computes_nothing(tmp_path, log, whole):
    assert run_silently(small_cells.plan(), tmp_path / "s").computed == 12
    again = run_silently(small_cells.plan(), tmp_path / "s")
    assert (again.computed, log.count("start")) == (0, 12)
    assert again.table.identical(whole)
    assert sweep.table(tmp_path / "s").identical(whole)
    again.table.to_netcdf(tmp_path / "table.nc", engine="h5netcdf")


def test_cells_of_one_shape_share_a_compilation(tmp_path):
    cells = sweep.grid({"rate": [0.1, 0.2, 0.3], "size": [4, 8]}, seeds=2)
    plan = sweep.Sweep("tests.sweep.small_cells:shaped", cells, code=(), shape_key=lambda config: config["size"])
    small_cells.TRACES.clear()
    small_cells.shaped({"rate": 0.1, "size": 4}, (0,))  # here, in the main thread, whose compilations serve too
    assert sweep.run(plan, tmp_path / "plain").computed == 6
    assert small_cells.TRACES == [(4,), (8,)]
    with jax.enable_x64(False):  # where the thread that computes has to be set, too
        assert sweep.run(plan, tmp_path / "narrow").computed == 6
    assert small_cells.TRACES == [(4,), (8,)] * 2


def test_a_processor_is_its_vector_instructions():
    """Virtual machines call many kinds by one name."""
    text = "model name\t: AMD EPYC\nflags\t\t: fpu sse avx avx2 fma\n\nmodel name\t: that of the second core\n"
    found = environment.described_processor(text)
    assert found.startswith("AMD EPYC ")
    assert environment.described_processor(text.replace("fpu", "fpu rdpid")) == found
    assert environment.described_processor(text.replace("fma", "fma avx512f")) != found
    assert environment.described_processor(text.replace("EPYC", "Ryzen")) != found
    assert "AMD" not in environment.described_processor("Features\t: fp asimd\n")


def test_a_process_that_differs_refuses(whole):
    plan = small_cells.plan()
    found = fingerprint.fingerprint(plan)
    cell = plan.cells[0]
    task = pools.Task(plan.function, cell.config, cell.seeds, {}, plan.code, found.code_digest, found.values, None)
    assert pools.compute(task).columns["seed"].tolist() == [1, 3]
    assert pools.compute(dataclasses.replace(task, environment=found.environment)).refusal == ""
    unequal = dataclasses.replace(task, environment={**found.environment, "cores": 64, "processor": "another"})
    assert pools.compute(unequal).refusal == "", "rounding alone"
    other = dataclasses.replace(task, environment={**found.environment, "jax": "0.1"})
    assert re.search(r"differs from the rest \(jax 0.1 → [\d.]+\)", pools.compute(other).refusal)
    stale = dataclasses.replace(task, code_digest="0" * 64)
    assert "other source files" in pools.compute(stale).refusal
    elsewhere = dataclasses.replace(task, values={"tests.sweep.small_cells:TRACES": "list (3)"})
    assert "tests.sweep.small_cells.TRACES is list (" in pools.compute(elsewhere).refusal
    absent = dataclasses.replace(task, values={"tests.sweep.nowhere:RATE": "0.1"})
    assert "tests.sweep.nowhere.RATE is absent, and 0.1 where the sweep began" in pools.compute(absent).refusal


def test_a_refusal_ends_the_run_and_keeps_what_is_done(tmp_path, monkeypatch):
    sweep.run(small_cells.plan(count=12), tmp_path)
    cell_files(tmp_path)[0].unlink()
    monkeypatch.setattr(pools, "_refusal", lambda *_: "a worker has other source files")
    with pytest.raises(InputError, match="other source files; 11 of 12 cells are kept"):
        sweep.run(small_cells.plan(count=12), tmp_path)
    assert sweep.status(tmp_path).running == 0


def test_a_changed_config_never_reuses_cells(tmp_path, log):
    def plan(seconds, seeds=(0, 1)):
        return sweep.Sweep(
            "tests.sweep.small_cells:ends", sweep.grid({"scale": [0.1, 0.2], "seconds": seconds}, seeds), code=()
        )

    folder = tmp_path / "s"
    assert run_silently(plan(0), folder).computed == 2
    assert run_silently(plan(0.0), folder).computed == 2  # 0 and 0.0 may act differently
    assert run_silently(plan(0, (0, 1, 2)), folder).computed == 2
    assert run_silently(plan(0, (1, 0)), folder).computed == 2
    assert run_silently(plan(0), folder).computed == 0  # and back
    longer = sweep.Sweep(
        "tests.sweep.small_cells:ends", sweep.grid({"scale": [0.1, 0.2, 0.3], "seconds": 0}, [0, 1]), code=()
    )
    assert run_silently(longer, folder).computed == 1
    assert sweep.table(folder)["scale"].values.tolist() == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]


def test_changed_code_never_reuses_cells(tmp_path, monkeypatch):
    module = tmp_path / "edited_cells.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    folder = tmp_path / "s"

    def written(value):
        module.write_text(f"def cell(config, seeds):\n    return {{'x': [{value}] * len(seeds)}}\n")

    def restarted():
        """What a new process would know."""
        sys.modules.pop("edited_cells", None)
        sources._first_seen.clear()
        pools._code_digest.cache_clear()
        return sweep.Sweep("edited_cells:cell", sweep.grid({"a": [1, 2]}, 1), code=())

    written(1)
    assert run_silently(restarted(), folder).table["x"].values.tolist() == [1, 1]
    written(2)
    with pytest.raises(InputError, match=r"edited_cells\.py was edited while Python ran"):
        sweep.run(sweep.Sweep("edited_cells:cell", sweep.grid({"a": [1, 2]}, 1), code=()), folder)
    with pytest.warns(
        RuntimeWarning, match=r"changed since the last run: edited_cells\.py .* 2 cells are computed anew"
    ):
        result = sweep.run(restarted(), folder)
    assert (result.computed, result.table["x"].values.tolist()) == (2, [2, 2])
    written(1)
    assert run_silently(restarted(), folder).computed == 0  # the first cells are still true
    sys.modules.pop("edited_cells", None)
    importlib.invalidate_caches()
    importlib.import_module("edited_cells")  # before any sweep has looked at it: what was imported can't be known
    sources._first_seen.clear()
    with pytest.raises(InputError, match=r"edited_cells\.py was edited while Python ran"):
        sweep.Sweep("edited_cells:cell", sweep.grid({"a": [1, 2]}, 1), code=())
    assert run_silently(restarted(), folder).computed == 0


def test_code_is_hashed_file_by_file(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "hashed" / "inner").mkdir(parents=True)
    for name in ("__init__.py", "inner/__init__.py", "inner/a.py", "b.py"):
        (tmp_path / "hashed" / name).write_text(f"# {name}")
    assert list(sources.code_files(["hashed"])) == [
        "hashed/__init__.py",
        "hashed/b.py",
        "hashed/inner/__init__.py",
        "hashed/inner/a.py",
    ]
    assert list(sources.code_files(["hashed.inner.a", "hashed.b"])) == ["hashed/b.py", "hashed/inner/a.py"]
    for absent in ("nowhere_at_all", "hashed.c", "sys"):
        with pytest.raises(InputError, match=absent):
            sources.code_files([absent])


def test_inputs_and_modes_enter_the_key(tmp_path):
    cells = sweep.grid({"a": 1}, seeds=2)

    def plan(**inputs):
        return sweep.Sweep("tests.sweep.small_cells:sizes_of_floats", cells, code=(), inputs=inputs)

    assert run_silently(plan(), tmp_path).computed == 1
    assert run_silently(plan(data="1"), tmp_path).computed == 1
    assert run_silently(plan(data="2"), tmp_path).computed == 1
    with jax.enable_x64(False):  # a setting of this thread: the cell runs in another
        narrow = run_silently(plan(), tmp_path)
    assert (narrow.computed, narrow.table["bytes"].values.tolist()) == (1, [4, 4])
    wide = run_silently(plan(), tmp_path)
    assert (wide.computed, wide.table["bytes"].values.tolist()) == (0, [8, 8])


def test_another_environment_is_said_and_not_mixed(tmp_path, log, monkeypatch, whole):
    plan = small_cells.plan()
    sweep.run(plan, tmp_path / "s")
    other = {**environment.machine(), "jax": "9"}
    for module in (fingerprint, pools):
        monkeypatch.setattr(module, "machine", lambda: other)
    with pytest.warns(
        RuntimeWarning, match=r"jax [\d.]+ → 9; and equal numbers can't be promised.*12 cells are kept"
    ) as caught:
        mixed = sweep.run(plan, tmp_path / "s", allow_mixed=True)
    assert len(caught) == 1
    assert "\n" not in str(caught[0].message)
    assert (mixed.computed, log.count("start")) == (0, 12)
    assert mixed.table.identical(whole)  # with the environment that the cells were computed in
    assert sweep.status(tmp_path / "s").done == 12
    cell_files(tmp_path / "s")[0].unlink()
    mixed = sweep.run(plan, tmp_path / "s", allow_mixed=True)
    assert mixed.computed == 1
    found = {found["jax"] for found in json.loads(mixed.table.attrs["environments"])}
    assert found == {jax.__version__, "9"}
    result = sweep.run(plan, tmp_path / "s")
    assert (result.computed, log.count("start")) == (11, 24)
    assert not result.table.identical(whole)
    assert result.table.equals(whole)


def test_cells_of_an_unequal_machine_are_used_and_said(tmp_path, log, monkeypatch, whole):
    plan = small_cells.plan()
    sweep.run(plan, tmp_path / "s")
    other = {**environment.machine(), "cores": 64}
    for module in (fingerprint, pools):
        monkeypatch.setattr(module, "machine", lambda: other)
    cell_files(tmp_path / "s")[0].unlink()
    with pytest.warns(RuntimeWarning, match=r"11 of 12 cells were computed on another machine \(cores \d+ → 64\)"):
        shared = sweep.run(plan, tmp_path / "s")
    assert (shared.computed, log.count("start")) == (1, 13)
    assert shared.table.equals(whole)
    assert {found["cores"] for found in json.loads(shared.table.attrs["environments"])} == {environment.cores(), 64}


def test_another_environment_computes_anew(tmp_path, monkeypatch):
    plan = small_cells.plan(count=2)
    sweep.run(plan, tmp_path)
    for module in (fingerprint, pools):
        monkeypatch.setattr(module, "machine", lambda: {"jax": "9", "cores": 64})
    with pytest.warns(RuntimeWarning, match=r"jax .* → 9.*2 cells are computed anew .allow_mixed"):
        assert sweep.run(plan, tmp_path).computed == 2


def test_a_failing_cell_is_recorded_and_the_others_go_on(tmp_path, log, monkeypatch):
    plan = small_cells.plan(count=4, function="sometimes")
    folder = tmp_path / "s"
    with pytest.warns(RuntimeWarning, match="1 of 4 cells failed.*scale 0.75 is too large.*retry_failed=True"):
        result = sweep.run(plan, folder)
    (failure,) = result.failures
    assert (failure.type, failure.message) == ("ValueError", "scale 0.75 is too large")
    assert (failure.config["scale"], failure.seeds) == (0.75, (3, 1))
    assert "small_cells.py" in failure.line
    assert "raise ValueError(" in failure.line
    assert result.table["scale"].values.tolist() == [0, 0, 0.25, 0.25, 0.5, 0.5]
    assert str(sweep.status(folder)) == f"3 of 4 cells done, 1 failed, 0 running, 0 missing\n{failure}"
    with pytest.warns(RuntimeWarning, match="1 of 4 cells failed"):
        assert sweep.run(plan, folder).failures == result.failures
    assert log.count("start") == 4  # not tried again
    with pytest.warns(RuntimeWarning, match="1 of 4 cells failed"):
        sweep.run(plan, folder, retry_failed=True)
    assert log.count("start") == 5
    monkeypatch.setenv("SWEEP_MENDED", str(folder))
    result = run_silently(plan, folder, retry_failed=True)
    assert (result.computed, len(result.failures), log.count("start")) == (1, 0, 6)
    assert sweep.status(folder).done == 4


def test_columns_that_differ_are_refused_at_once(tmp_path):
    with pytest.raises(InputError, match=r"cells \d and \d don't fit one table .column (high|low) is in one"):
        sweep.run(small_cells.plan(count=8, function="uneven"), tmp_path)


def test_bad_options(tmp_path):
    for options, expected in [({"workers": -1}, "workers is -1"), ({"workers": 1, "scheduler": "tcp://x"}, "pass one")]:
        with pytest.raises(InputError, match=expected):
            sweep.run(small_cells.plan(), tmp_path, **options)
