"""The page: in a real browser, from the distribution."""

from __future__ import annotations

import dataclasses
import math
import re
import shutil
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from conftest import LABELS, NAMES, RATES, measured, results_of, single_results

from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.conclusions import conclude
from micropie_benchlib.report.layout import Report
from micropie_benchlib.report.page import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Until = Literal["load", "networkidle"]  # half a second after the last request
CHROMIUM = shutil.which("chromium")
HOSTILE = """</script>'"><img src=x onerror=alert(1)>"""
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium: .ci/env --dev installs it for root alone"
)


def sweep(*counts: int, labels: Mapping[str, str] = LABELS) -> Results:
    """Return results of six rounds at each of these counts, by both methods.

    The requests/s of `more` rise from round to round.
    """
    measurements = []
    for number in range(1, 7):
        for connections in counts:
            load = LoadId(workload=DEFAULT_WORKLOAD, connections=connections)
            rates = (1000.0 * connections, (900.0 + number) * connections)
            for name, partner, rate in zip(NAMES, reversed(NAMES), rates, strict=True):
                measurements += [
                    measured(name, number, rate, load=load),
                    measured(name, number, rate, load=load, partner=partner),
                ]
    return results_of(measurements, labels=labels)


def page_of(results: Results) -> str:
    return to_html(Report(results=results, conclusion=conclude(results)))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright  # takes long

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-background-networking",
                "--disable-component-update",
            ],
        )
        yield chromium
        chromium.close()


def opened(
    browser: Browser, text: str, tmp_path: Path, *, until: Until = "load", **options: Any
) -> tuple[Page, list[str]]:
    """Return the page, and all that it asked for or complained of until then."""
    file = tmp_path / "page.html"
    file.write_text(text)
    page = browser.new_page(**options)
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("console", lambda message: seen.append(message.text))
    page.on("pageerror", lambda error: seen.append(str(error)))
    page.on("dialog", lambda dialog: seen.append(dialog.message))
    page.goto(file.as_uri(), wait_until=until)
    return page, [url for url in seen if url != file.as_uri()]


# The texts of a chart that reach beyond its edges.
TEXTS_CUT_OFF = """
chart => {
  const edge = chart.getBoundingClientRect();
  const isCutOff = text => {
    const box = text.getBoundingClientRect();
    return box.left < edge.left - 1 || box.right > edge.right + 1
      || box.top < edge.top - 1 || box.bottom > edge.bottom + 1;
  };
  return [...chart.querySelectorAll("text")].filter(isCutOff).map(text => text.textContent);
}
"""


# What a chart's texts are in pixels for each unit of theirs.
SCALES = "charts => charts.map(x => x.getBoundingClientRect().width / x.viewBox.baseVal.width)"
RIGHT_EDGES = "figures => figures.map(figure => figure.getBoundingClientRect().right)"


@needs_chromium
@pytest.mark.parametrize(
    ("scheme", "width"),
    [
        ("light", 1280),
        ("dark", 390),
        pytest.param("light", 390, marks=pytest.mark.nightly),
        pytest.param("dark", 1280, marks=pytest.mark.nightly),
    ],
)
def test_the_page_loads_alone_and_fits(
    browser: Browser, tmp_path: Path, width: int, scheme: Literal["light", "dark"]
) -> None:
    text = page_of(sweep(1, 100, 1000))
    size = {"width": width, "height": 900}
    page, amiss = opened(
        browser, text, tmp_path, until="networkidle", viewport=size, color_scheme=scheme
    )
    assert amiss == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shade == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 21, 21)"}[scheme]
    figures = page.locator("figure")
    edges = figures.evaluate_all(RIGHT_EDGES)
    assert len(edges) == 1 + 1 + 3 * 4, "the answer, the sweep, four for each load"
    assert 0 < min(edges) <= max(edges) <= width
    charts = page.locator("figure svg:has(.axis)")
    scales = charts.evaluate_all(SCALES)
    assert len(scales) == len(edges)
    assert min(14 * scale for scale in scales) > 10  # pixels: readable
    assert charts.evaluate_all(f"charts => charts.flatMap({TEXTS_CUT_OFF})") == []
    page.close()


def drawn(figure: Locator, mark: str) -> list[tuple[float, float]]:
    """Return the centres of a target's dots, in the chart's own units."""
    dots = figure.locator(f".mark-{mark} .dots > circle[cx]")
    centres = "dots => dots.map(dot => [dot.getAttribute('cx'), dot.getAttribute('cy')])"
    return [(float(x), float(y)) for x, y in dots.evaluate_all(centres)]


@needs_chromium
def test_charts_show_the_figures(browser: Browser, tmp_path: Path) -> None:
    whole = sweep(100)
    page, _ = opened(browser, page_of(whole), tmp_path)
    answer, throughput, ratio, latency, rounds = page.locator("figure").all()
    assert answer.locator("figcaption strong").text_content() == "Speed"

    rates = [100 * (900.0 + number) for number in range(1, 7)]
    mean = statistics.mean(rates)
    half = 2.570582 * statistics.stdev(rates) / math.sqrt(6)  # Student's t: 0.975, 5 degrees
    ticks = throughput.locator(".axis.x text").all()
    (zero, *_, last) = (
        (float(tick.text_content() or ""), float(tick.get_attribute("x") or "")) for tick in ticks
    )
    assert zero[0] == 0  # lengths are in proportion
    scale = (last[1] - zero[1]) / last[0]
    expected = [zero[1] + scale * rate for rate in (mean - half, mean, mean + half)]
    assert sorted(x for x, _ in drawn(throughput, "1")) == pytest.approx(expected, abs=0.01)
    assert "More: 90350 ± 196" in (
        throughput.locator("[role=img]").get_attribute("aria-label") or ""
    )

    line = ratio.locator(".reference path.line").get_attribute("d") or ""
    assert max(x for x, _ in drawn(ratio, "1")[:3]) < float(
        re.findall(r"[\d.]+", line)[0]
    )  # fewer requests: left of 1

    percentiles = whole.distributions[0].percentiles
    assert len(drawn(latency, "0")) == len(percentiles) - (percentiles[-1][0] == 100)
    latency_heights = [y for _, y in drawn(latency, "0")]
    assert latency_heights == sorted(latency_heights, reverse=True)  # a percentile never falls

    assert len(drawn(rounds, "0")) == len(drawn(rounds, "1")) == 6
    heights = [y for _, y in drawn(rounds, "1")]
    assert heights == sorted(heights, reverse=True)  # each round was faster than the one before
    assert len(set(heights)) == 6
    assert len({y for _, y in drawn(rounds, "0")}) == 1  # while these were all the same

    titles = "dots => dots.map(dot => dot.querySelector('title')?.textContent)"
    told = page.locator("figure .dots circle").evaluate_all(titles)
    assert told
    assert all(told)
    page.close()


@needs_chromium
def test_long_names_leave_room_for_the_charts(browser: Browser, tmp_path: Path) -> None:
    page, _ = opened(
        browser,
        page_of(sweep(100, labels=LABELS | {"more": "M" * 200})),
        tmp_path,
        viewport={"width": 390, "height": 900},
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for figure in page.locator("figure").all()[:3]:
        low, middle, high = sorted(x for x, _ in drawn(figure, "1")[:3])
        assert 0 <= low < middle < high
        plot = figure.locator("rect.background")
        assert high < float(plot.get_attribute("width") or 0)
        assert float(plot.get_attribute("width") or 0) > 150
    page.close()


@needs_chromium
def test_an_end_that_lies_beyond_the_axis_has_no_dot(browser: Browser, tmp_path: Path) -> None:
    whole = single_results(((1000.0, 10_000.0), (1000.0, 100.0)))
    page, _ = opened(browser, page_of(whole), tmp_path)
    _, _, ratio, *_ = page.locator("figure").all()
    first_row = ratio.locator(".mark-1").first
    radii = [dot.get_attribute("r") for dot in first_row.locator(".dots circle").all()]
    assert radii == ["4"]
    page.close()


@needs_chromium
def test_the_answer_is_at_the_top_and_the_command_can_be_copied(
    browser: Browser, tmp_path: Path
) -> None:
    whole = dataclasses.replace(sweep(100), command="micropie_bench compare -c 100")
    page, amiss = opened(
        browser,
        page_of(whole),
        tmp_path,
        until="networkidle",
        viewport={"width": 390, "height": 900},
        permissions=["clipboard-read", "clipboard-write"],
    )
    answer = page.locator(".answers li").first
    assert answer.bounding_box()["y"] < 450  # type: ignore[index]  # on a phone's first screen
    assert (answer.text_content() or "").startswith("100 connections: slower. More is 0.90")
    assert answer.locator("strong.slower").count() == 1
    for rounds in page.locator("figure", has_text="Every round").all():
        assert rounds.locator(".axis.y text").first.text_content() == "0"
        labels = rounds.locator(".axis.x text").all_text_contents()
        assert labels == ["1", "2", "3", "4", "5", "6"]
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "micropie_bench compare -c 100"
    assert amiss == []
    page.close()


@needs_chromium
def test_tables_sort_by_value_and_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    whole = sweep(100)
    base, *others = whole.distributions
    slow = dataclasses.replace(
        base, percentiles=tuple((percent, 100 * seconds) for percent, seconds in base.percentiles)
    )
    whole = dataclasses.replace(whole, distributions=(slow, *others))
    page, _ = opened(browser, page_of(whole), tmp_path)
    details = page.locator("table", has=page.locator("caption", has_text="details"))
    names, p99 = details.locator("tbody th"), details.get_by_role("button", name="p99", exact=True)
    assert names.all_text_contents() == ["Base", "More"]  # 3.00s, 30.00ms
    p99.focus()
    page.keyboard.press("Enter")
    assert names.all_text_contents() == ["More", "Base"]
    assert details.locator("th[aria-sort=ascending]").text_content() == "p99"
    page.keyboard.press("Enter")
    assert names.all_text_contents() == ["Base", "More"]
    assert details.locator("th[aria-sort=descending]").text_content() == "p99"
    page.close()


@needs_chromium
def test_names_cannot_become_part_of_the_page(browser: Browser, tmp_path: Path) -> None:
    whole = sweep(1, 100, 1000, labels=LABELS | {"more": HOSTILE})
    whole = dataclasses.replace(whole, command=HOSTILE, warnings=(HOSTILE,))
    page, amiss = opened(browser, page_of(whole), tmp_path, until="networkidle")
    assert amiss == []
    assert page.locator("img").count() == page.locator("[onerror]").count() == 0
    assert page.locator("pre").text_content() == HOSTILE
    page.close()


def test_the_page_is_made_of_whatever_there_is() -> None:
    whole = single_results(RATES[:1])
    assert "<figure" in page_of(whole)
    assert "so with no interval" in page_of(whole)
    assert "so with no interval" not in page_of(single_results())
    invalid = tuple(
        dataclasses.replace(measurement, wrk=None, use=None, invalid_reason="died")
        for measurement in whole.measurements
    )
    text = page_of(
        dataclasses.replace(whole, measurements=invalid, distributions=(), comparisons=())
    )
    assert "<figure" not in text
    assert "invalid, died" in text
