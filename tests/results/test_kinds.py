"""Every result of the library is a result: it prints without arrays, and what it draws, saves and shows works."""

import dataclasses
import re

import jax
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

import sdesgd as sg
from sdesgd import basins
from sdesgd.landscape import Landscape
from sdesgd.results import Result
from sdesgd.results.tables import aligned
from tests.refusals import refused
from tests.results.made import MADE, SMALL

_LONGEST = 60  # lines of a report


@pytest.fixture(scope="module")
def made():
    """Each is made once."""
    cache = {}

    def of(kind):
        if kind not in cache:
            cache[kind] = MADE[kind]()
        return cache[kind]

    return of


def assert_same(one, two, where="the result"):
    """Equal numbers, names and types, all the way down."""
    if isinstance(one, Landscape):  # its function is in no file
        assert (one.name, one.dimension) == (two.name, two.dimension), where
    elif dataclasses.is_dataclass(one) or hasattr(one, "_asdict"):
        assert type(two) is type(one), where
        names = [f.name for f in dataclasses.fields(one)] if dataclasses.is_dataclass(one) else one._fields
        for name in names:
            assert_same(getattr(one, name), getattr(two, name), f"{where}.{name}")
    elif isinstance(one, dict) and isinstance(two, dict) and one.keys() == two.keys():
        for key in one:
            assert_same(one[key], two[key], f"{where}[{key!r}]")
    elif isinstance(one, tuple | list) and isinstance(two, tuple | list):
        assert len(one) == len(two), where
        for k, (a, b) in enumerate(zip(one, two, strict=True)):
            assert_same(a, b, f"{where}[{k}]")
    elif isinstance(one, str | bool | int | float) or one is None:
        assert type(two) is type(one), where
        assert one == two or (one != one and two != two), where
    else:  # arrays, and pytrees of them, which come back as dicts by path
        first, second = (jax.tree.leaves(x) for x in (one, two))
        assert len(first) == len(second), where
        for a, b in zip(first, second, strict=True):
            assert np.asarray(a).dtype == np.asarray(b).dtype, where
            np.testing.assert_array_equal(a, b, where)


@pytest.mark.parametrize("kind", MADE, ids=lambda kind: kind.__name__)
class TestEveryResult:
    def test_it_prints_a_report_and_no_arrays(self, made, kind):
        text = str(made(kind))
        assert repr(made(kind)) == text
        assert 0 < len(text.splitlines()) < _LONGEST
        assert max(map(len, text.splitlines())) < 400
        assert "array(" not in text
        assert "object at 0x" not in text
        assert not re.search(r"[\[(](?:-?\d[^\s,]*,?\s+){6}", text), "a row of numbers is a dump"

    def test_its_figure_has_a_title_and_labels(self, made, kind):
        drawn = made(kind).plot()
        assert isinstance(drawn, Figure)
        assert drawn.get_suptitle() or any(axes.get_title() for axes in drawn.axes)
        panels = [axes for axes in drawn.axes if axes.axison and not axes.get_label().startswith("<colorbar")]
        labels = [axes.get_xlabel() for axes in panels], [axes.get_ylabel() for axes in panels]
        assert all(any(names) for names in labels)
        assert any(axes.has_data() for axes in panels)

    def test_it_is_a_dataset(self, made, kind):
        dataset = made(kind).to_xarray()
        assert isinstance(dataset, xr.Dataset)
        assert dataset.data_vars
        assert not [dim for dim in dataset.dims if str(dim).startswith("dim_")], "an axis without a name"

    def test_it_comes_back_from_its_file(self, made, kind, tmp_path):
        result = made(kind)
        result.save(tmp_path / "r.nc")
        read = kind.load(tmp_path / "r.nc")
        assert_same(result, read)
        assert str(read) == str(result)
        assert [a.get_title() for a in read.plot().axes] == [a.get_title() for a in result.plot().axes]
        read.save(tmp_path / "again.nc")
        assert_same(read, kind.load(tmp_path / "again.nc"))

    def test_a_notebook_shows_figure_and_report(self, made, kind):
        shown = made(kind)._repr_html_()
        assert shown.startswith("<svg")
        assert shown.endswith("</pre>")

    def test_a_damaged_file_gets_one_line(self, made, kind, tmp_path):
        path = tmp_path / "r.nc"
        made(kind).save(path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        refused(lambda: kind.load(path), "r.nc")
        path.write_bytes(b"no NetCDF")
        refused(lambda: kind.load(path), "r.nc")
        refused(lambda: kind.load(tmp_path / "none.nc"), "none.nc")


@pytest.mark.parametrize("name", SMALL)
def test_small_types_print_one_line_without_arrays(name):
    made = SMALL[name]()
    assert type(made).__name__ == name
    assert len(str(made).splitlines()) == 1
    assert len(str(made)) < 400
    assert "array(" not in str(made)
    assert "object at 0x" not in str(made)
    assert not re.search(r"[\[(](?:-?\d[^\s,]*,?\s+){6}", str(made)), "a row of numbers is a dump"


def test_the_numbers_of_the_report_are_the_means(made):
    trajectories, gap = made(sg.Trajectories), made(sg.Gap)
    last = trajectories.values["loss"][:, -1]
    error = last.std(ddof=1) / np.sqrt(5)
    assert f"loss: mean {last.mean():.5g} ± {error:.2g}" in str(trajectories)
    k = int(np.argmax(np.abs(gap.mean["loss"][1:]) / gap.standard_error["loss"][1:])) + 1
    assert f"loss: {gap.mean['loss'][k]:+.4g} ± {gap.standard_error['loss'][k]:.2g}" in str(gap)
    assert "loss" in " ".join(axis.get_ylabel() for axis in gap.plot().axes)


def test_minima_of_a_file_match_points_and_ask_for_their_function(made, tmp_path):
    minima = made(basins.Minima)
    minima.save(tmp_path / "m.nc")
    read = basins.Minima.load(tmp_path / "m.nc")
    np.testing.assert_array_equal(read.match([[1.0], [-1.0], [0.3]]), minima.match([[1.0], [-1.0], [0.3]]))
    refused(lambda: read.assign([[0.9]]), "a file holds no functions.*dataclasses.replace")
    back = dataclasses.replace(read, landscape=minima.landscape)
    np.testing.assert_array_equal(back.assign([[0.9]]), minima.assign([[0.9]]))


def test_minima_modulo_a_symmetry_of_ones_own_are_not_saved(made, tmp_path):
    class Own(basins.NoSymmetry):
        pass

    minima = dataclasses.replace(made(basins.Minima), symmetry=Own())
    refused(lambda: minima.save(tmp_path / "m.nc"), "the symmetry is a Own, which no file holds")
    assert not (tmp_path / "m.nc").exists()


def test_a_file_of_either_kind_of_wells_is_one_of_wells(made, tmp_path):
    for kind, points in ((basins.IntervalWells, [[-1.0], [0.2]]), (basins.GridWells, [[-1.0, 0.0], [0.2, 0.0]])):
        made(kind).save(tmp_path / "w.nc")
        read = basins.Wells.load(tmp_path / "w.nc")
        assert type(read) is kind
        np.testing.assert_array_equal(read.labels(np.array(points)), [0, 1])
    refused(lambda: basins.IntervalWells.load(tmp_path / "w.nc"), "holds a 'GridWells'")


def test_the_card_says_which_condition_holds_and_by_what_factor(made):
    """Of 0.02 a limit of 1 is 50 times as far; skewness fails by 1.7; what isn't defined is no failure."""
    card = made(sg.ValidityCard)
    kinds = {one.symbol: one.kind for one in card.conditions}
    assert kinds == {
        "η λ_max / (2(1+m))": "holds",
        "|skewness| along g": "fails",
        "|kurtosis − 3| along g": "close",
        "|skewness| along top H": "holds",
        "|kurtosis − 3| along top H": "unknown",
    }
    assert "Small steps: holds, 50 times below the limit" in str(card)
    assert "Gaussian noise: fails, 1.7 times the limit (|skewness| along g)" in str(card)
    bars = [bar for bar in card.plot().axes[0].patches if 0 < bar.get_height() < 1 and bar.get_width() > 0]
    ends = sorted(round(bar.get_x() + bar.get_width(), 6) for bar in bars)
    assert {0.01, 0.02, 0.4, 1.7} <= set(ends)
    loose = dataclasses.replace(card.conditions[1], value=1.1, error=0.2)
    assert (loose.kind, str(loose)) == ("undecided", "undecided, 1.1 ± 0.2 times the limit")
    assert dataclasses.replace(loose, value=0.05, error=0.1).kind == "close", "the interval reaches beyond a tenth"
    down = dataclasses.replace(card, stability=-0.3)
    assert down.conditions[0].kind == "holds", "where nothing curves upwards every step is stable"


def test_trajectories_of_vectors_draw_their_first_components(made):
    runs = made(sg.Trajectories)
    vectors = dataclasses.replace(runs, values={"w": runs.values["w"]})
    (axes,) = vectors.plot().axes
    assert axes.get_ylabel() == "w[0]"
    assert any(np.array_equal(line.get_ydata(), runs.values["w"][0, :, 0]) for line in axes.get_lines())


def test_a_notebook_says_why_nothing_is_drawn(made):
    runs = made(sg.Trajectories)
    nothing = dataclasses.replace(runs, values={"w": runs.values["w"][..., :0]})
    shown = nothing._repr_html_()
    assert shown.startswith("<pre>5 replicas")
    assert "no figure: there is no observable" in shown


def test_columns_of_a_table_are_aligned_and_long_tables_cut():
    lines = aligned([("a", "long head"), *((str(k), "x") for k in range(40))])
    assert lines[0] == "a   long head"
    assert lines[1] == "0   x"
    assert lines[-1] == "(30 of 40 shown)"
    assert len(lines) == 32
    refused(lambda: aligned([("a",), ("b", "c")]), "rows have")


def test_results_without_numbers_of_their_own_are_refused():
    class Bare(Result):
        pass

    for call in (lambda: str(Bare()), lambda: Bare().plot(), lambda: Bare().to_xarray()):
        with pytest.raises(NotImplementedError):
            call()
