"""The waterfall: the calls of a test as a picture, for a report that is read in a browser."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from aiostub._explain import Row
from aiostub._pytest.waterfall import Detail, page, waterfall

USERS = "https://api.test/users"
SVG = "{http://www.w3.org/2000/svg}"


def drawn(*rows):
    """Return the picture of some calls, which must be well-formed XML."""
    return ET.fromstring(waterfall(rows))


def texts(picture):
    """Return what is written in it, without the axis and the tooltips."""
    return [text.text for group in picture.iter(f"{SVG}g") for text in group.iter(f"{SVG}text")]


def bars(picture):
    """Return beginning and end of each bar."""
    found = [(float(bar.get("x")), float(bar.get("width"))) for bar in picture.iter(f"{SVG}rect")]
    return [(x, x + width) for x, width in found]


def test_each_call_is_a_line():
    """What was asked, a bar, and what came of it after how long."""
    picture = drawn(
        Row(0, "GET", USERS, "503", 0.1), Row(0.1, "POST", USERS, "ServerDisconnectedError", 0.05)
    )
    assert [
        "GET api.test/users",
        "503  100 ms",
        "POST api.test/users",
        "ServerDisconnectedError  50 ms",
    ] == texts(picture)


def test_bars_are_to_scale():
    """They begin and end when the calls do."""
    (a, b), (c, d), (e, f) = bars(
        drawn(
            Row(0, "GET", USERS, "200", 0.2),
            Row(0.1, "GET", USERS, "200", 0.1),
            Row(0.3, "GET", USERS, "200", 0.1),
        )
    )
    assert (a + b) / 2 == pytest.approx(c, abs=0.2)
    assert b == pytest.approx(d, abs=0.2)
    assert f - e == pytest.approx((b - a) / 2, abs=0.2)
    assert e == pytest.approx(b + (b - a) / 2, abs=0.2)


def test_a_call_that_is_not_over():
    """Its bar goes on to the end."""
    (_, first), (_, second) = bars(
        drawn(Row(0, "GET", USERS, "pending"), Row(0.1, "GET", USERS, "200", 0.3))
    )
    assert first == pytest.approx(second, abs=0.2)


@pytest.mark.parametrize(
    ("outcome", "colour"),
    [
        ("200", "#2da44e"),
        ("302", "#0969da"),
        ("404", "#bf8700"),
        ("503", "#bf8700"),
        ("unmatched", "#cf222e"),
        ("ServerDisconnectedError", "#cf222e"),
        ("cancelled", "#8c959f"),
        ("passed through 200", "#2da44e"),
    ],
)
def test_the_outcome_has_a_colour(outcome, colour):
    """By the class of its status."""
    (bar,) = drawn(Row(0, "GET", USERS, outcome, 0.1)).iter(f"{SVG}rect")
    assert colour == bar.get("fill")


def test_text_has_the_colour_of_the_page():
    """Light or dark."""
    assert "currentColor" == drawn(Row(0, "GET", USERS, "200", 0.1)).get("fill")


def luminance(colour):
    """Return the relative luminance of a colour (WCAG 2.1)."""
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("page_colour", ["#ffffff", "#0d1117"])
@pytest.mark.parametrize("outcome", ["200", "302", "404", "unmatched", "cancelled"])
def test_bars_stand_out(outcome, page_colour):
    """From a light page and from a dark one: three to one, as graphics must (WCAG 1.4.11)."""
    (bar,) = drawn(Row(0, "GET", USERS, outcome, 0.1)).iter(f"{SVG}rect")
    darker, lighter = sorted([luminance(bar.get("fill")), luminance(page_colour)])
    assert (lighter + 0.05) / (darker + 0.05) >= 3


EVIL = "https://api.test/<b>?q=\"'&a=<script>alert(1)</script>"


def test_everything_is_escaped():
    """Whatever a URL, a route or a body has in it."""
    row = Row(0, "<i>", EVIL, "<u>", 0.1, route=f"GET {EVIL}")
    html = page([row], [Detail("<summary>", "</pre><script>alert(1)</script>")])
    assert not re.search(r"<(i|b|u|script)>", html)
    assert not re.search(r"<summary><code><summary>", html)
    assert ET.fromstring(html).tag == "div"
    title = next(iter(drawn(row).iter(f"{SVG}g"))).find(f"{SVG}title").text
    assert f"<i> {EVIL}\n<u>, at +0 ms\nroute: GET {EVIL}" == title


def test_secrets_are_masked():
    """In the line, and in the tooltip."""
    row = Row(0, "GET", f"{USERS}?token=hush", "200", 0.1, route=f"GET {USERS}?token=hush")
    assert "hush" not in waterfall([row])
    assert waterfall([row]).count("token=***") == 3


def test_attempts_are_told():
    """Where aiohttp has sent it twice."""
    assert "2 attempts" in waterfall([Row(0, "GET", USERS, "200", 0.1, attempts=2)])


def test_a_long_url_is_cut_in_the_middle():
    """It is whole in the tooltip."""
    url = f"{USERS}/{'x' * 100}/end"
    label, _ = texts(drawn(Row(0, "GET", url, "200", 0.1)))
    assert len(label) <= 46
    assert label.startswith("GET api.test/users/x")
    assert label.endswith("x/end")
    assert url in waterfall([Row(0, "GET", url, "200", 0.1)])


def test_very_many():
    """A hundred are drawn, the rest is counted."""
    rows = [Row(n / 10, "GET", USERS, "200", 0.1) for n in range(103)]
    assert 100 == len(bars(drawn(*rows)))
    assert ">and 3 more</text>" in waterfall(rows)
    assert 100 == page(rows, [Detail("a", "b")] * 103).count("<details>")


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 0.0012, 0.3, 7.0, 3600.0])
def test_the_axis(seconds):
    """A few round times, from nothing on, whatever the scale."""
    picture = drawn(Row(0, "GET", USERS, "200", seconds))
    ticks = [text.text for text in picture.findall(f"{SVG}text")]
    assert "0 ms" == ticks[0]
    assert 2 <= len(ticks) <= 6


def test_the_clocks_of_several_loops():
    """A call may have begun before the first."""
    (a, _), (b, _) = bars(drawn(Row(0, "GET", USERS, "200", 0.1), Row(-5, "GET", USERS, "200", 1)))
    assert b < a


def test_everything_fits_in():
    """No note runs out of the picture."""
    rows = [
        Row(n / 10, "GET", USERS, "ClientConnectorCertificateError", 0.123456) for n in range(9)
    ]
    picture = drawn(*rows)
    for group in picture.iter(f"{SVG}g"):
        note = group.findall(f"{SVG}text")[1]
        assert float(note.get("x")) + 7.2 * len(note.text) <= 960
