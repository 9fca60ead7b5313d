# SPDX-License-Identifier: Apache-2.0
"""The page in a real browser, offline: no error, no request, and everything answers."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from reported import HOSTILE

from rsei.engine.report.findings import Findings
from rsei.engine.report.style import MINES
from rsei.engine.sources.grids import LONLAT, carrier

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (BROWSER and DRIVER), reason="needs chromium and chromium-driver"),
]


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for switch in (
        "headless=new",
        "no-sandbox",
        "disable-gpu",
        "disable-background-networking",
        "window-size=1200,1000",
    ):
        options.add_argument(f"--{switch}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        driver.get((folder / "report.html").as_uri())
        until(driver, "return document.body.dataset.ready === 'yes'")
        yield driver
    finally:
        driver.quit()


def until(browser: Any, script: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, 20).until(lambda driver: driver.execute_script(script))


def shows(browser: Any, state: str) -> None:
    """Wait until the map shows area, layer and number of the epoch."""
    picture = "document.querySelector('#map img.pixels')?.dataset.shows"
    until(browser, f"return {picture} === '{state}'")


def find(browser: Any, selector: str) -> Any:
    return browser.find_element("css selector", selector)


def test_it_starts_with_the_last_epoch(browser: Any, findings: Findings) -> None:
    last = findings.sites[0].epochs[-1]
    shows(browser, "0,rsei,1")
    assert find(browser, "#epoch-name").text == str(last)


def test_pictures_are_there_before_one_scrolls(browser: Any) -> None:
    """For the printer, and so that a link into the page leads where it should."""
    until(browser, "return [...document.images].every((one) => one.complete)")
    empty = (
        "return [...document.querySelectorAll('figure img')].filter(i => !i.naturalWidth).length"
    )
    assert browser.execute_script(empty) == 0
    squeezed = """
    return [...document.querySelectorAll("figure img")].map((one) => [
      one.naturalWidth / one.naturalHeight, one.width / one.height]);
    """
    found = np.array(browser.execute_script(squeezed))
    assert len(found) > 10
    # Taller ones are fitted into the height they may have; padding is a part of the size.
    assert (found[:, 1] > found[:, 0] * 0.9).all()
    height = "return document.documentElement.scrollHeight"
    before = browser.execute_script(height)
    browser.execute_script("document.getElementById('provenance').scrollIntoView()")
    assert browser.execute_script(height) == before
    browser.execute_script("window.scrollTo(0, 0)")


def test_the_slider_changes_the_epoch_from_the_keyboard(browser: Any, findings: Findings) -> None:
    from selenium.webdriver.common.keys import Keys

    find(browser, "#epoch").send_keys(Keys.ARROW_LEFT)
    shows(browser, "0,rsei,0")
    assert find(browser, "#epoch-name").text == str(findings.sites[0].epochs[0])
    find(browser, "#epoch").send_keys(Keys.ARROW_RIGHT)
    shows(browser, "0,rsei,1")


def test_the_layer_can_be_a_change(browser: Any) -> None:
    find(browser, "input[value=first]").click()
    shows(browser, "0,first,1")
    assert "to" in find(browser, "#epoch-name").text
    assert "loss" in find(browser, "#legend").text
    find(browser, "input[value=rsei]").click()
    shows(browser, "0,rsei,1")


def test_a_click_tells_the_values_of_the_pixel(browser: Any, findings: Findings) -> None:
    find(browser, "#map").click()
    until(browser, "return document.querySelectorAll('#values tbody tr').length === 2")
    place = find(browser, "#values caption").text
    lat, lon = map(float, place.removeprefix("RSEI at ").split(":")[0].split(", "))
    site = findings.sites[0]
    cells = browser.find_elements("css selector", "#values tbody td")
    for epoch, cell in zip(site.epochs, cells):
        layer = site.rsei(epoch)
        x, y = carrier(LONLAT, layer.crs).transform(lon, lat)
        column = int((x - layer.transform.c) / layer.transform.a)
        row = int((y - layer.transform.f) / layer.transform.e)
        around = layer.values[row - 1 : row + 2, column - 1 : column + 2]
        # The picture is warped: the nearest pixel may be a neighbour.
        assert min(abs(around.reshape(-1) - float(cell.text))) <= 0.0051


def test_outlines_come_and_go(browser: Any) -> None:
    paths = "return document.querySelectorAll('#map svg path').length"
    before = browser.execute_script(paths)
    find(browser, "#mines").click()
    assert browser.execute_script(paths) == before - 1
    find(browser, "#mines").click()
    assert browser.execute_script(paths) == before


def test_opacity_follows_its_slider(browser: Any) -> None:
    script = "const o = document.getElementById('opacity'); o.value = 40;"
    browser.execute_script(script + "o.dispatchEvent(new Event('input'));")
    assert find(browser, "#map img.pixels").value_of_css_property("opacity") == "0.4"


def test_the_other_area_can_be_chosen(browser: Any) -> None:
    find(browser, "#site option:last-child").click()
    shows(browser, "1,rsei,1")
    find(browser, "#centre").click()
    until(browser, "return document.querySelectorAll('#values tbody tr').length === 2")


def test_a_hostile_name_does_nothing(browser: Any) -> None:
    assert browser.title.startswith("small") and "caught" not in browser.title
    assert HOSTILE in find(browser, "main h2 ~ * , #area-1, body").text or HOSTILE in (
        browser.execute_script("return document.body.textContent")
    )


WIDEST = """
const tables = [...document.querySelectorAll("main table")].filter((t) => t.checkVisibility());
return Math.max(...tables.map((table) => table.getBoundingClientRect().right));
"""
"""Where the table that reaches farthest ends, pixels."""


def test_it_can_be_printed_without_the_map(browser: Any) -> None:
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert not find(browser, "#map-part").is_displayed()
        assert find(browser, "figure").is_displayed()
        # 680 pixels are the width of A4 between margins: nothing may lie beyond it.
        size = {"width": 680, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        assert browser.execute_script(WIDEST) <= 680
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_fits_a_telephone(browser: Any) -> None:
    """Nothing makes the page itself wider than the screen; wide tables scroll by themselves."""
    size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    try:
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 360
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_mines_are_black_where_red_is_a_loss(browser: Any) -> None:
    find(browser, "#site option:first-child").click()
    shows(browser, "0,rsei,1")
    strokes = (
        "return [...document.querySelectorAll('#map svg path')].map(p => p.getAttribute('stroke'))"
    )
    assert MINES in browser.execute_script(strokes)
    find(browser, "input[value=before]").click()
    shows(browser, "0,before,1")
    assert MINES not in browser.execute_script(strokes)
    find(browser, "input[value=rsei]").click()
    shows(browser, "0,rsei,1")


def test_every_control_is_reached_by_the_tab_key(browser: Any) -> None:
    """In the order of the page, and each tells its name to a screen reader."""
    from selenium.webdriver.common.keys import Keys

    browser.execute_script("document.querySelector('a.skip').focus()")
    seen = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        at = browser.switch_to.active_element
        seen.append(at.get_attribute("id") or at.get_attribute("value") or at.text)
        if seen[-1] == "map":
            break
    wanted = ["site", "rsei", "epoch", "opacity", "outline", "mines", "centre", "map"]
    assert [name for name in seen if name in wanted] == wanted
    tree = browser.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    roles = {"slider", "radio", "checkbox", "button", "combobox", "img", "link", "table"}
    named = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node.get("ignored") and node.get("role", {}).get("value") in roles
    ]
    assert len(named) > 20 and [role for role, name in named if not name.strip()] == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_its_ground(browser: Any, scheme: str) -> None:
    """Contrast of at least 4.5, as WCAG 2.1 asks at level AA, of every text of the page."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    try:
        found = browser.execute_script(COLOURS)
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    assert len(found) >= 5
    for ink, paper, words in found:
        low, high = sorted((luminance(ink), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 4.5, (ink, paper, words)


COLOURS = """
const found = new Map();
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const words = walker.currentNode.textContent.trim();
  let at = walker.currentNode.parentElement;
  const other = at.closest("script, style, noscript, .leaflet-control");
  if (!words || other || !at.checkVisibility()) continue;
  const style = getComputedStyle(at);
  const ink = style.color.match(/[\\d.]+/g).map(Number);
  let paper = [0, 0, 0, 0];
  let opacity = 1;
  for (let up = at; up; up = up.parentElement) opacity *= Number(getComputedStyle(up).opacity);
  for (; at && paper[3] === 0; at = at.parentElement) {
    paper = getComputedStyle(at).backgroundColor.match(/[\\d.]+/g).map(Number);
    if (paper.length === 3) paper.push(1);
  }
  const seen = ink.slice(0, 3).map((part, i) => opacity * part + (1 - opacity) * paper[i]);
  found.set(seen + "|" + paper, [seen, paper.slice(0, 3), words.slice(0, 30)]);
}
return [...found.values()];
"""
"""Each pair of colours of a text and of what lies under it, and some of the text."""


def luminance(rgb: list[float]) -> float:
    """Relative luminance. Source: WCAG 2.1."""
    parts = [part / 255 for part in rgb]
    linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_the_trend_is_shown_and_told(browser: Any, cities: Findings) -> None:
    browser.get((cities.folder / "report.html").as_uri())
    until(browser, "return document.body.dataset.ready === 'yes'")
    shows(browser, "0,rsei,7")
    find(browser, "input[value=trend]").click()
    shows(browser, "0,trend,7")
    assert find(browser, "#epoch-name").text == "2001 to 2022"
    assert not find(browser, "#epoch").is_enabled()
    assert find(browser, "#legend").text.startswith("Trend of RSEI a year")
    find(browser, "#map").click()
    until(browser, "return document.querySelectorAll('#values tbody tr').length === 9")
    lat, lon = map(float, find(browser, "#values caption").text.split("at ")[1].split(", "))
    name, told = (
        find(browser, f"#values tbody tr:last-child {cell}").text for cell in ("th", "td")
    )
    layer = cities.sites[0].slope()
    assert name == "trend a year" and layer is not None
    x, y = carrier(LONLAT, layer.crs).transform(lon, lat)
    row, column = (
        int((y - layer.transform.f) / layer.transform.e),
        int((x - layer.transform.c) / layer.transform.a),
    )
    around = layer.values[row - 2 : row + 3, column - 2 : column + 3]
    shown = float(told.replace("\u2212", "-"))
    assert np.abs(around - shown).min() <= 3.3e-3 / 100 + 5e-5


def test_no_error_and_no_request(browser: Any) -> None:
    """Last of the module: what the browser noted while all the others ran."""
    assert [one for one in browser.get_log("browser") if one["level"] != "INFO"] == []
    events = [json.loads(one["message"])["message"] for one in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"].split(":")[0]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked <= {"file", "data", "blob"}
