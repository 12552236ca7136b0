"""The published tables: their figures, and what is said of them beside measurements."""

import re

import pytest

import apps
from micropie_benchlib.cli.plans import find_published
from micropie_benchlib.core.built_ins import BUILT_INS
from micropie_benchlib.core.choices import Method
from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.metrics import Metric
from micropie_benchlib.core.published import published_tables
from micropie_benchlib.core.requests import WORKLOADS
from micropie_benchlib.report.published import order_lines, published_warnings
from micropie_benchlib.stats.ranking import PairwiseComparisons

THOUSAND = LoadId(workload="hello", connections=1000)


@pytest.mark.parametrize("day", published_tables())
def test_what_a_published_table_names_exists(day: str) -> None:
    chosen = find_published(day)
    for load, rows in chosen.rows.items():
        assert load.workload in WORKLOADS
        assert {row.name for row in rows} == set(chosen.names)
    for name in chosen.names:
        assert name in BUILT_INS
        assert chosen.apps.get(name, name) in apps._BUILDERS


@pytest.mark.parametrize(
    ("day", "sizes"),
    [
        ("2025-01-29", {"fastapi": 144.2, "micropie": 265.2}),
        ("2025-06-03", {"micropie": 161.0, "blacksheep": 152.0, "fastapi": 142.0, "sanic": 161.0}),
        ("2025-07-07", {"micropie": 161.0, "fastapi": 142.0, "blacksheep": 142.0}),
        (
            "2026-05-11",
            {
                "micropie": 137.1,
                "blacksheep": 136.7,
                "starlette": 136.9,
                "fastapi": 136.2,
                "quart": 134.6,
            },
        ),
    ],
)
def test_bytes_of_an_answer_follow_from_what_was_read(day: str, sizes: dict[str, float]) -> None:
    rows = next(iter(find_published(day).rows.values()))
    found = {row.name: row.response_bytes for row in rows}
    for name, size in sizes.items():
        assert found[name] == pytest.approx(size, abs=0.06)


def test_what_was_read_in_a_second_tells_the_bytes_where_no_total_does() -> None:
    (row, *_) = find_published("2025-02-04").rows[THOUSAND]
    assert (row.name, row.requests, row.timeouts) == ("muffin", None, 533)
    assert row.response_bytes == pytest.approx(0.90 * 2**20 / 6508.80)


def test_published_cells_are_the_gists_columns() -> None:
    fastapi, micropie = find_published("2025-01-29").rows[LoadId(workload="hello", connections=100)]
    assert fastapi.cells == ("49.15ms", "102.39ms", "2031.28", "8.39", "285.95")
    assert micropie.cells == ("44.58ms", "101.74ms", "2239.68", "17.02", "580.29")
    starlette = find_published("2025-01-30").rows[LoadId(workload="json", connections=1000)][0]
    assert starlette.cells == ("344.06ms", "", "2876.03", "", "1320.96")


def test_a_row_that_littles_law_excludes_is_told() -> None:
    remarks = [
        line for day in published_tables() for line in published_warnings(find_published(day))
    ]
    micropie, quart = [line for line in remarks if "Little" in line]
    assert "MicroPie breaks" in micropie
    assert "52686 requests/s of 1.35ms would need 71 requests in flight, but had 64" in micropie
    assert "Quart breaks" in quart
    assert "104469 requests/s of 11.75ms would need 1228 requests in flight, but had 1000" in quart


def warnings_of(day: str) -> list[str]:
    return published_warnings(find_published(day))


def test_the_leaders_margin_and_timeouts_are_told() -> None:
    (margin,) = [
        line for line in published_warnings(find_published("2026-05-11")) if "margin" in line
    ]
    assert "margin of MicroPie over BlackSheep at 1000 connections is 1.1%" in margin
    (line,) = [
        line for line in published_warnings(find_published("2025-02-04")) if "timeouts" in line
    ]
    assert "452 to 662 timeouts each" in line


def pairwise(speeds: dict[str, list[float]]) -> PairwiseComparisons:
    by_round = {name: dict(enumerate(values, 1)) for name, values in speeds.items()}
    return PairwiseComparisons(
        load=THOUSAND,
        method=Method.PAIRED,
        metric=Metric.CPU,
        reference="MicroPie",
        speeds={"MicroPie": dict.fromkeys(range(1, 7), 1.0), **by_round},
        first_rounds=None,
    )


def test_each_two_neighbours_are_confirmed_reversed_or_not_told_apart() -> None:
    noisy, quick = [0.8, 1.3, 0.9, 1.2, 1.1, 0.9], [2.0, 2.01, 1.99, 2.0, 2.0, 2.02]
    slow = [each / 3 for each in quick]
    speeds = {"BlackSheep": noisy, "Starlette": quick, "FastAPI": slow}
    lines = order_lines(find_published("2026-05-11"), THOUSAND, pairwise(speeds))
    load = "1000 connections"
    assert [re.sub(r"here (\d.*: )?", "", line) for line in lines] == [
        f"{load}, MicroPie over BlackSheep: published 1.011x, no significant difference",
        f"{load}, BlackSheep over Starlette: published 1.035x, reversed",
        f"{load}, Starlette over FastAPI: published 1.489x, confirmed",
        f"{load}, FastAPI over Quart: published 1.439x, not measured",
    ]
    assert "here 3.000x per CPU second (3.000 to 3.000): confirmed" in lines[2]


def test_a_published_order_is_told_even_if_nothing_was_comparable_here() -> None:
    first, *_ = order_lines(find_published("2026-05-11"), THOUSAND, None)
    assert first.endswith("MicroPie over BlackSheep: published 1.011x, here not measured")
