"""Texts with wrk's reports as people keep them: no figure is lost, none is invented."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import pytest
from results_schema import loaded

import micropie_bench as mb

URL = "http://127.0.0.1:8000/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """A report as wrk prints it; `extra` are the lines that it prints of errors."""

    url: str = URL
    seconds: int = 10
    threads: int = 2
    connections: int = 10
    latency: str = "1.45ms    7.30ms 667.25ms   99.09%"
    requests: str = "69967"
    duration: str = "10.00s"
    data: str = "2.60MB"
    rate: str = "6996.70"
    extra: tuple[str, ...] = ()

    @property
    def lines(self) -> list[str]:
        """The lines, as wrk indents them."""
        return [
            f"Running {self.seconds}s test @ {self.url}",
            f"  {self.threads} threads and {self.connections} connections",
            "  Thread Stats   Avg      Stdev     Max   +/- Stdev",
            f"    Latency    {self.latency}",
            "    Req/Sec     1.81k    41.90     2.00k    68.01%",
            f"  {self.requests} requests in {self.duration}, {self.data} read",
            *self.extra,
            f"Requests/sec: {self.rate:>10}",
            "Transfer/sec:    266.24KB",
        ]

    @property
    def text(self) -> str:
        """The whole report."""
        return "\n".join(self.lines) + "\n"


ALPHA = Printed(rate="13865.62")
BETA = Printed(rate="254749.13")
NO_LATENCY = "0.00us    0.00us   0.00us    -nan%"
TWO_TIMEOUTS = "  Socket errors: connect 0, read 0, write 0, timeout 2"


def read(text: str) -> mb.Results:
    """Return the results of a text."""
    return mb.new_results(measurements=tuple(mb.parse_reports(text)))


def one(printed: Printed) -> mb.Measurement:
    """Return the measurement of a report that stands alone."""
    (measurement,) = mb.parse_reports(printed.text)
    return measurement


def rows(text: str) -> list[tuple[str, ...]]:
    """Return the rows of all of the gist's tables of a text."""
    results = read(text)
    found: list[tuple[str, ...]] = []
    for load in results.loads:
        found += mb.gist_table(results, load).rows
    return found


def refusal(text: str) -> str:
    """Return why the text is refused."""
    with pytest.raises(mb.BenchError) as error:
        mb.parse_reports(text)
    message = str(error.value)
    assert "\n" not in message
    return message


# What is not known is not zero.


@pytest.mark.parametrize("share", ["nan%", "-nan%"])
def test_a_latency_that_wrk_did_not_time_is_unknown(share: str) -> None:
    printed = dataclasses.replace(
        ALPHA, latency=f"0.00us    0.00us   0.00us    {share}", requests="109876"
    )
    results = read(printed.text)
    (measurement,) = results.measurements
    assert measurement.valid
    assert measurement.latency_p99_s is None
    assert rows(printed.text)[0][1:4] == ("unknown", "unknown", "13865.62")
    assert any("the latency is not known" in line for line in mb.caveats_of(results))
    saved = loaded(mb.to_json(results))
    assert saved["measurements"][0]["wrk"]["latency"] is None
    assert mb.from_json(mb.to_json(results)) == results
    assert mb.to_csv(mb.Report(results=results, conclusion=mb.conclude(results)))


def test_rounds_that_tell_their_latency_give_that_of_the_row() -> None:
    untimed = dataclasses.replace(ALPHA, latency=NO_LATENCY)
    ((_, mean, longest, *_),) = rows(f"alpha\n{untimed.text}{ALPHA.text}")
    assert (mean, longest) == ("1.45ms", "667.25ms")


def test_a_report_without_any_request_is_void() -> None:
    silent = Printed(latency=NO_LATENCY, requests="0", data="0.00B", rate="0.00")
    assert not one(silent).valid
    assert rows(silent.text)[0][1:] == ("void",) * 5


def test_a_run_of_our_own_that_timed_nothing_has_no_latency() -> None:
    assert mb.latency_from_histogram(()) is None
    assert mb.latency_with_percentiles((), mean_s=0.0, stdev_s=0.0, max_s=0.0) is None


# Somebody else's errors are told, and void nothing.


def test_errors_of_a_report_mark_its_figures_and_are_noted() -> None:
    late = dataclasses.replace(ALPHA, extra=(TWO_TIMEOUTS,))
    text = f"alpha\n{late.text}\nbeta\n{BETA.text}"
    assert [row[0] for row in rows(text)] == ["alpha (2 errors)", "beta"]
    assert rows(text)[0][3] == "13865.62"
    caveats = mb.caveats_of(read(text))
    assert caveats == [
        "Round 1 (alpha, 10 connections): 2 timeouts: "
        "answers later than wrk waited are missing from the latency"
    ]


def test_each_row_has_the_note_of_its_own_errors() -> None:
    late = dataclasses.replace(ALPHA, extra=(TWO_TIMEOUTS,))
    later = dataclasses.replace(BETA, extra=(TWO_TIMEOUTS.replace("2", "30"),))
    caveats = mb.caveats_of(read(f"alpha\n{late.text}\nbeta\n{later.text}"))
    assert [caveat.partition(": answers")[0] for caveat in caveats] == [
        "Round 1 (alpha, 10 connections): 2 timeouts",
        "Round 1 (beta, 10 connections): 30 timeouts",
    ]


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        (
            {"extra": ("  Socket errors: connect 1, read 0, write 0, timeout 0",)},
            "1 failed connection: ",
        ),
        ({"extra": ("  Socket errors: connect 0, read 5, write 0, timeout 0",)}, "5 read errors: "),
        (
            {"extra": ("  Socket errors: connect 0, read 0, write 7, timeout 0",)},
            "7 write errors: ",
        ),
        (
            {"extra": ("  Non-2xx or 3xx responses: 9",)},
            "9 of 69967 responses had a status above 399",
        ),
        ({"requests": "8"}, "8 requests are fewer than the 10 connections"),
    ],
)
def test_what_is_amiss_with_a_report_is_noted(changes: dict[str, object], note: str) -> None:
    measurement = one(dataclasses.replace(ALPHA, **changes))  # type: ignore[arg-type]
    assert measurement.valid
    assert len(measurement.notes) == 1
    assert measurement.notes[0].startswith(note)


# Figures that cannot be.

MANY = "9" * 400


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"data": f"{MANY}MB"}, id="bytes"),
        pytest.param({"rate": MANY}, id="requests per second"),
        pytest.param({"requests": MANY}, id="requests"),
        pytest.param({"requests": "9" * 5000}, id="requests beyond what Python reads"),
        pytest.param({"duration": f"{MANY}s"}, id="a duration"),
        pytest.param({"latency": f"{MANY}s 1.00ms 1.00ms 99.00%"}, id="a latency"),
        pytest.param({"latency": f"1.00ms 1.00ms 1.00ms {MANY}%"}, id="a share"),
        pytest.param({"latency": "-1.00ms 1.00ms 1.00ms 99.00%"}, id="a latency below 0"),
        pytest.param({"threads": 0}, id="no thread"),
        pytest.param({"connections": 0}, id="no connection"),
        pytest.param({"connections": MANY}, id="connections"),
        pytest.param({"seconds": MANY}, id="seconds"),
        pytest.param({"extra": (f"  Non-2xx or 3xx responses: {MANY}",)}, id="statuses"),
        pytest.param({"extra": (TWO_TIMEOUTS + MANY,)}, id="timeouts"),
    ],
)
def test_an_impossible_figure_is_refused_with_its_line(changes: dict[str, object]) -> None:
    printed = dataclasses.replace(ALPHA, **changes)  # type: ignore[arg-type]
    assert "line " in refusal(printed.text)


def test_the_greatest_figures_can_be_saved_and_read_again() -> None:
    greatest = Printed(
        threads=999_999,
        connections=999_999,
        latency="99999.99h 99999.99h 99999.99h 100.00%",
        requests="9" * 15,
        duration="99999.99h",
        data="99999.99TB",
        rate="9" * 14 + ".99",
        extra=(TWO_TIMEOUTS.replace("2", "9" * 15), "  Non-2xx or 3xx responses: " + "9" * 15),
    )
    results = read(greatest.text)
    assert mb.from_json(mb.to_json(results)) == results
