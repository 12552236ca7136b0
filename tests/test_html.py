"""The page: in a real browser, from the distribution."""

from __future__ import annotations

import math
import re
import shutil
import statistics
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest
from conftest import LABELS, NAMES, RATES, failed, measured, report_of, results_of, single_results

from micropie_benchlib.core.loads import LoadId
from micropie_benchlib.core.requests import DEFAULT_WORKLOAD
from micropie_benchlib.core.results import Results
from micropie_benchlib.report.page import to_html

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Opened = Callable[..., tuple["Page", list[str]]]
Until = Literal["load", "networkidle"]  # half a second after the last request
CHROMIUM = shutil.which("chromium")
HOSTILE = """</script>'"><img src=x onerror=alert(1)>"""
PHONE = {"width": 390, "height": 900}
DESKTOP = {"width": 1280, "height": 900}


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
    return to_html(report_of(results, details=False))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no chromium: .ci/env --dev installs it for root alone")
    from playwright.sync_api import sync_playwright  # takes long

    with sync_playwright() as playwright:
        args = ["--no-sandbox", "--disable-gpu"]
        args += ["--disable-background-networking", "--disable-component-update"]
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Return what opens the page of results, and tells what it asked for or complained of."""
    pages: list[Page] = []

    def open_page(
        results: Results, *, until: Until = "load", **options: Any
    ) -> tuple[Page, list[str]]:
        file = tmp_path / "page.html"
        file.write_text(page_of(results))
        page = browser.new_page(**options)
        pages.append(page)
        seen: list[str] = []
        page.on("request", lambda request: seen.append(request.url))
        page.on("console", lambda message: seen.append(message.text))
        page.on("pageerror", lambda error: seen.append(str(error)))
        page.on("dialog", lambda dialog: seen.append(dialog.message))
        page.goto(file.as_uri(), wait_until=until)
        return page, [url for url in seen if url != file.as_uri()]

    yield open_page
    for page in pages:
        page.close()


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
    opened: Opened, width: int, scheme: Literal["light", "dark"]
) -> None:
    size = {"width": width, "height": 900}
    whole = sweep(1, 100, 1000)
    page, amiss = opened(whole, until="networkidle", viewport=size, color_scheme=scheme)
    assert amiss == []
    assert page.evaluate("document.documentElement.scrollWidth") == width
    shade = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shade == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 21, 21)"}[scheme]
    figures = page.locator("figure")
    edges = figures.evaluate_all(RIGHT_EDGES)
    assert len(edges) == 1 + 1 + 3, "speeds, the sweep, latencies of each load"
    assert 0 < min(edges) <= max(edges) <= width
    charts = page.locator("figure svg:has(.axis)")
    scales = charts.evaluate_all(SCALES)
    assert len(scales) == len(edges)
    assert min(14 * scale for scale in scales) > 10  # pixels: readable
    assert charts.evaluate_all(f"charts => charts.flatMap({TEXTS_CUT_OFF})") == []


def drawn(figure: Locator, mark: str) -> list[tuple[float, float]]:
    dots = figure.locator(f"[role=img] .mark-{mark} .dots > circle")
    centres = "dots => dots.map(dot => [dot.getAttribute('cx'), dot.getAttribute('cy')])"
    return [(float(x), float(y)) for x, y in dots.evaluate_all(centres)]


def ticks_of(axis: Locator, direction: Literal["x", "y"]) -> list[tuple[float, float]]:
    ticks = []
    for tick in axis.locator("text").all():
        position = float(tick.get_attribute(direction) or "")
        ticks.append((float((tick.text_content() or "").rstrip("ms")), position))
    return ticks


def test_speeds_are_drawn_with_their_intervals_and_rounds(opened: Opened) -> None:
    whole = results_of(sweep(100).measurements[::2])  # the single trials
    page, _ = opened(whole)
    speeds = page.locator("figure").first
    assert speeds.locator("figcaption strong").text_content() == "Speed"
    line = speeds.locator(".reference path.line").get_attribute("d") or ""
    at_1 = float(re.findall(r"[\d.]+", line)[0])
    (first, first_x), *_, (last, last_x) = ticks_of(speeds.locator(".axis.x"), "x")
    assert first_x < at_1 < last_x
    scale = (last_x - first_x) / math.log(last / first)

    ratios = [(900.0 + number) / 1000 for number in range(1, 7)]
    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.mean(logs)
    half = 2.570582 * statistics.stdev(logs) / math.sqrt(6)  # Student's t: 0.975, 5 degrees
    *rounds, (estimate, _) = drawn(speeds, "1")
    assert estimate == pytest.approx(at_1 + scale * mean, abs=0.01)
    assert [x for x, _ in rounds] == pytest.approx([at_1 + scale * each for each in logs], abs=0.01)
    bar = speeds.locator(".mark-1 path.line").get_attribute("d") or ""
    low, _, high, *_ = map(float, re.findall(r"[\d.]+", bar))
    assert low == pytest.approx(at_1 + scale * (mean - half), abs=0.01)
    assert high == pytest.approx(at_1 + scale * (mean + half), abs=0.01)
    assert "More, 100 connections: 0.903x (0.902 to 0.905)" in (
        speeds.locator("[role=img]").get_attribute("aria-label") or ""
    )


def test_charts_of_series_show_the_figures(opened: Opened) -> None:
    whole = sweep(10, 100, 1000)
    page, _ = opened(whole)
    _, throughput, latency, *_ = page.locator("figure").all()
    (zero, zero_y), *_, (last, last_y) = ticks_of(throughput.locator(".axis.y"), "y")
    assert zero == 0  # lengths are in proportion
    heights = [(zero_y - y - 5) * last / (zero_y - last_y) for _, y in drawn(throughput, "0")]
    assert heights == pytest.approx([1e4, 1e5, 1e6], abs=20_000)
    left, middle, right = (x for x, _ in drawn(throughput, "0"))
    assert middle - left == pytest.approx(right - middle)  # logarithmic

    percentiles = whole.distributions[0].percentiles
    assert len(drawn(latency, "0")) == len(percentiles) - (percentiles[-1][0] == 100)
    latency_heights = [y for _, y in drawn(latency, "0")]
    assert latency_heights == sorted(latency_heights, reverse=True)  # a percentile never falls

    titles = "dots => dots.map(dot => dot.querySelector('title')?.textContent)"
    told = page.locator("[role=img] .dots circle").evaluate_all(titles)
    assert told
    assert all(told)


def test_long_names_leave_room_for_the_charts(opened: Opened) -> None:
    page, _ = opened(sweep(100, labels=LABELS | {"more": "M" * 200}), viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    for figure in page.locator("figure").all():
        width = float(figure.locator("rect.background").get_attribute("width") or 0)
        assert width > 150
        positions = sorted(x for x, _ in drawn(figure, "1"))
        assert 0 <= positions[0] < positions[-1] <= width


def test_what_lies_beyond_the_axis_has_no_mark(opened: Opened) -> None:
    whole = single_results(((1000.0, 10_000.0), (1000.0, 100.0)))
    page, _ = opened(whole)
    speeds = page.locator("figure").first
    assert len(drawn(speeds, "1")) == 1, "the estimate, not the rounds"
    bar = speeds.locator(".mark-1 path.line").get_attribute("d") or ""
    assert bar.count("M") == 1, "no mark at its ends"


def test_the_answer_is_at_the_top_and_the_command_can_be_copied(opened: Opened) -> None:
    whole = replace(sweep(100), command="micropie_bench compare -c 100")
    page, amiss = opened(
        whole,
        until="networkidle",
        viewport=PHONE,
        permissions=["clipboard-read", "clipboard-write"],
    )
    first = page.locator(".verdicts li").first
    assert first.bounding_box()["y"] < 450  # type: ignore[index]  # on a phone's first screen
    assert (first.text_content() or "").startswith("100 connections: slower. More is 0.90")
    assert first.locator("strong.slower").count() == 1
    page.get_by_role("button", name="Copy").click()
    page.get_by_text("Copied").wait_for()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == "micropie_bench compare -c 100"
    assert amiss == []


def test_tables_sort_by_value_and_by_keyboard(opened: Opened) -> None:
    whole = sweep(100)
    base, *others = whole.distributions
    slow = replace(
        base, percentiles=tuple((percent, 100 * seconds) for percent, seconds in base.percentiles)
    )
    whole = replace(whole, distributions=(slow, *others))
    page, _ = opened(whole)
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


def test_on_a_phone_no_table_hides_a_column(opened: Opened) -> None:
    page, _ = opened(sweep(100), viewport=PHONE)
    boxes = page.locator(".scroll:has(table.sortable)")
    assert boxes.count() >= 3
    for box in boxes.all():
        assert box.evaluate("box => box.scrollWidth <= box.clientWidth")
    titles = page.locator("td[data-title=Verdict], td[data-title=Method]")
    assert titles.count() >= 2
    assert all(title.is_visible() for title in titles.all())


def test_plots_fill_their_cards(opened: Opened) -> None:
    page, _ = opened(sweep(1, 10, 100), viewport=DESKTOP)
    for figure in page.locator("figure").all():
        card, drawing = figure.bounding_box(), figure.locator("[role=img] svg").bounding_box()
        assert card
        assert drawing
        assert drawing["width"] > 0.9 * card["width"]


def test_names_cannot_become_part_of_the_page(opened: Opened) -> None:
    whole = sweep(1, 100, 1000, labels=LABELS | {"more": HOSTILE})
    whole = replace(whole, command=HOSTILE, warnings=failed(HOSTILE))
    page, amiss = opened(whole, until="networkidle")
    assert amiss == []
    assert page.locator("img").count() == page.locator("[onerror]").count() == 0
    assert page.locator("pre").text_content() == HOSTILE


def test_the_page_is_made_of_whatever_there_is() -> None:
    whole = single_results(RATES[:1])
    assert "<figure" in page_of(whole)
    invalid = tuple(
        replace(measurement, wrk=None, use=None, invalid=failed("died"))
        for measurement in whole.measurements
    )
    text = page_of(results_of(invalid))
    assert "<figure" not in text
    assert "invalid: died" in text
