"""Servers that have no one figure (targets/shifting.py): what is told of them."""

import sys
from pathlib import Path

import pytest
from conftest import TARGETS, InProcess

from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.results import Results
from micropie_benchlib.core.warnings import BenchWarning, Kind
from micropie_benchlib.report.results_file import from_json
from micropie_benchlib.stats.verdicts import decisive_comparisons
from micropie_benchlib.stats.warnings import warnings_of

pytestmark = [pytest.mark.slow, pytest.mark.nightly, pytest.mark.timeout(400)]
LOAD = ("-c", "20", "-w", "1", "-t", "1")


def shifting(name: str, mode: str) -> str:
    return f"{name}=cmd:{sys.executable} {TARGETS / 'shifting.py'} {{port}} {mode}"


def measured_of(patient: InProcess, command: str, *words: str) -> Results:
    return from_json(patient.run(command, *LOAD, *words, "--export-json", "-").stdout)


def warnings_told(results: Results, kind: Kind) -> list[BenchWarning]:
    found = [each.warning for each in warnings_of(results)]
    return [warning for warning in found if warning.kind is kind]


def test_a_share_of_slow_responses_at_any_rate_leaves_no_capacity(patient: InProcess) -> None:
    limit = ("--p99-limit", "50ms", "-r", "3", "-d", "2s")
    results = measured_of(patient, "capacity", shifting("slow", "slow 0.015"), *limit)
    assert len(results.capacities) == 3
    for capacity in results.capacities:
        assert capacity.rate_per_s is None
        assert capacity.reasons[0].kind in (Kind.LIMIT_MISSED, Kind.LIMIT_INCONCLUSIVE)
        assert capacity.reasons[0].figures["share"] > 0.008


def test_targets_that_share_a_cache_are_decided_by_single_trials(
    patient: InProcess, tmp_path: Path
) -> None:
    targets = (
        shifting("fills", f"fills {tmp_path / 'cache'}"),
        shifting("shared", f"shared {tmp_path / 'cache'}"),
    )
    results = measured_of(patient, "compare", *targets, "-r", "8", "-d", "1s")
    (warning,) = warnings_told(results, Kind.DEPENDENT_PAIR)
    assert warning.figures["single"] < 0.4 < warning.figures["paired"]
    (decisive,) = decisive_comparisons(results)
    assert decisive.method is Method.SINGLE


def test_launches_that_get_slower_are_told(patient: InProcess, tmp_path: Path) -> None:
    targets = (shifting("plain", "plain"), shifting("drift", f"drift {tmp_path / 'launches'}"))
    results = measured_of(patient, "compare", *targets, "-r", "18", "-d", "1s")
    (warning,) = warnings_told(results, Kind.TREND)
    assert warning.figures["last"] < 0.8 * warning.figures["first"]


def test_a_server_that_is_cold_for_longer_is_told(patient: InProcess) -> None:
    targets = (shifting("plain", "plain"), shifting("cold", "cold 3"))
    loads = ("-c", "10,20", "-r", "12", "-d", "2s")
    results = measured_of(patient, "compare", *targets, *loads)
    told = warnings_told(results, Kind.WARMING_UP)
    assert told
    assert 1 < max(warning.figures["enough_s"] for warning in told) < 6
