"""A small part of ``calibration``: that rates aren't far off; by command it measures them to a percentage point."""

import pytest
from scipy import stats

from tests.comparison import calibration

LEVEL = 0.05


def at_most(repetitions):
    """Claims among so many that a level of 0.05 exceeds once in a thousand times."""
    return int(stats.binom.isf(1e-3, repetitions, LEVEL))


@pytest.mark.slow
def test_equal_means_are_seldom_called_different_and_intervals_hold_the_truth():
    found = [calibration.record("equal-fixed", number) for number in range(60)]
    assert sum(r["kind"] == "different" for r in found) <= at_most(60)
    for part in found[0]["held"]:
        assert sum(not r["held"][part] for r in found) <= at_most(60), part


@pytest.mark.slow
def test_a_gap_at_the_margin_is_seldom_called_equivalent_and_one_within_it_is():
    found = [calibration.record("margin-alone", number) for number in range(25)]
    assert sum(r["kind"] == "equivalent" for r in found) <= at_most(25)
    assert all(r["looks"] > 1 for r in found if r["kind"] == "inconclusive")
    close = [calibration.record("within", number) for number in range(10)]
    assert sum(r["kind"] == "equivalent" for r in close) >= 8, "power"


def test_the_report_counts(tmp_path):
    file = tmp_path / "records.jsonl"
    held = dict.fromkeys(("worst", "gap"), True)
    kinds = ["different", "inconclusive", "inconclusive", "inconclusive"]
    found = [{"case": "equal", "kind": kind, "replicas": [32, 12], "held": held} for kind in kinds]
    assert calibration.read(file) == []
    assert "  different: 0.250 ± 0.217" in calibration.report(found)
    assert "  worst holds the truth: 1.000 ± 0.000" in calibration.report(found)
