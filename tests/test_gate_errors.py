"""The gates that gate_errors.py draws, from rounds whose truth and spread are known."""

import dataclasses
import random

import pytest
from conftest import SETTINGS, measured, results_of
from gate_errors import decisions, drawn, preset_of, rates_of, recorded_ratios, scaled

from micropie_benchlib.cli.options import DEFAULTS, SHORT
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.results import Results
from micropie_benchlib.stats.gate import GateOutcome

SPREAD = 0.011  # of a round's log ratio: 1 s at 100 connections (docs/evidence.md)


def record(more: float) -> Results:
    """Return 90 rounds in which `more` needs that share more CPU; every other has single trials."""
    source = random.Random(1)
    trials = []
    for number in range(1, 91):
        factor = (1 + more) * source.lognormvariate(0, SPREAD)
        for partners in [("base", "more")] if number % 2 == 0 else [("base", "more"), (None, None)]:
            other, own = reversed(partners)
            trials.append(measured("base", number, 6000, partner=other))
            trials.append(measured("more", number, 6000 / factor, partner=own))
    settings = dataclasses.replace(SETTINGS, rounds=90, duration_s=1, paired=True)
    return results_of(trials, settings=settings)


def rates(results: Results, margin: float, *, draws: int) -> dict[GateOutcome, float]:
    made = decisions(results, [margin], rounds=SHORT.rounds, draws=draws)
    return rates_of([decision.outcome for (decision,) in made])


def test_a_draw_is_of_whole_rounds_with_single_trials_where_a_run_has_them() -> None:
    recorded = record(0.05)
    known = {(trial.target, trial.requests_per_s) for trial in recorded.measurements}
    run = drawn(recorded, 18, random.Random(2))
    assert {trial.round for trial in run.measurements} == set(range(1, 19))
    singles = {trial.round for trial in run.measurements if trial.method is Method.SINGLE}
    assert singles == set(range(1, 19, 2))
    assert {(trial.target, trial.requests_per_s) for trial in run.measurements} < known
    for name in ("base", "more"):
        assert len([trial for trial in run.measurements if trial.target == name]) == 18 + 9
    again = drawn(recorded, 18, random.Random(3))
    assert again.measurements != run.measurements


@pytest.mark.parametrize("more", [0.0, 0.03, 0.1])
def test_a_scaled_record_has_the_share_that_is_asked_for(more: float) -> None:
    recorded = record(0.05)
    assert recorded_ratios(recorded).popitem()[1] == pytest.approx(1.05, abs=0.005)
    assert recorded_ratios(scaled(recorded, more)).popitem()[1] == pytest.approx(1 + more, rel=1e-4)


def test_the_form_is_the_one_that_was_recorded() -> None:
    recorded = record(0.0)
    assert preset_of(recorded) is SHORT
    assert recorded.settings
    settings = dataclasses.replace(recorded.settings, duration_s=2)
    assert preset_of(dataclasses.replace(recorded, settings=settings)) is DEFAULTS


def test_without_a_margin_as_many_gates_fail_as_an_interval_of_95_percent_lets() -> None:
    found = rates(scaled(record(0.05), 0.0), 0.0, draws=300)
    assert 0.003 < found[GateOutcome.FAILED] < 0.06, "2.5%, on one side"
    assert found[GateOutcome.NOT_MEASURED] == 0


@pytest.mark.parametrize(
    ("more", "margin", "least", "most"),
    [
        (0.0, 0.01, 0.0, 0.05),
        (0.05, 0.01, 0.95, 1.0),
        (0.03, 0.05, 0.0, 0.05),
        (0.1, 0.05, 0.95, 1.0),
    ],
)
def test_gates_decide_by_the_real_interval_and_margin(
    more: float, margin: float, least: float, most: float
) -> None:
    found = rates(scaled(record(0.05), more), margin, draws=60)
    assert least <= found[GateOutcome.FAILED] <= most
