"""Drawing a character for the ensemble to name."""

import base64
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import BrowserContext, Page, expect

Stroke = list[tuple[float, float]]
LETTER_T: list[Stroke] = [
    [(0.25 + 0.05 * step, 0.25) for step in range(11)],
    [(0.5, 0.25 + 0.05 * step) for step in range(11)],
]
"""Its two strokes, as shares of the surface."""


def places(page: Page, stroke: Stroke) -> Stroke:
    box = page.locator("[data-drawing]").bounding_box()
    assert box is not None
    return [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]


def draw_by_mouse(page: Page, stroke: Stroke) -> None:
    first, *rest = places(page, stroke)
    page.mouse.move(*first)
    page.mouse.down()
    for point in rest:
        page.mouse.move(*point)
    page.mouse.up()


def draw_by_finger(page: Page, stroke: Stroke) -> None:
    session = page.context.new_cdp_session(page)

    def touch(kind: str, *points: tuple[float, float]) -> None:
        there: dict[str, Any] = {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]}
        session.send("Input.dispatchTouchEvent", there)

    first, *rest = places(page, stroke)
    touch("touchStart", first)
    for point in rest:
        touch("touchMove", point)
    touch("touchEnd")


def surface(page: Page) -> str:
    """Return what is drawn, as a picture's address."""
    return str(page.locator("[data-drawing]").evaluate("canvas => canvas.toDataURL()"))


def expect_guesses(page: Page) -> None:
    """Expect three guesses, best first, with probabilities that bars show."""
    expect(page.get_by_role("status")).to_contain_text("It reads")
    rows = page.locator("[data-guesses] li")
    shares = [float((row.locator("[data-share]").inner_text()).rstrip("%")) for row in rows.all()]
    assert len(shares) == 3
    assert shares == sorted(shares, reverse=True)
    assert 0 < sum(shares) <= 100.1
    assert all(len(row.locator("[data-character]").inner_text()) == 1 for row in rows.all())
    bar = rows.first.locator("[data-bar]")
    assert float(bar.evaluate("b => parseFloat(b.style.width)")) == pytest.approx(shares[0], abs=0.1)


def picture(kind: str = "PNG") -> bytes:
    """Return a scan of a slanted stroke with a foot."""
    image = Image.new("L", (300, 400), 250)
    ImageDraw.Draw(image).line([(180, 60), (140, 320), (230, 310)], fill=20, width=22, joint="curve")
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_drawing_is_named_after_each_stroke(scheme: str, open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(color_scheme=scheme, viewport={"width": 1280, "height": 900}).new_page()
    page.goto("/canvas")
    for stroke in LETTER_T:
        with page.expect_response("**/api/v1/predictions"):
            draw_by_mouse(page, stroke)
        expect_guesses(page)


def test_a_finger_draws_and_does_not_scroll(open_context: Callable[..., BrowserContext]) -> None:
    context = open_context(
        has_touch=True, is_mobile=True, viewport={"width": 360, "height": 640}, device_scale_factor=3
    )
    page = context.new_page()
    page.goto("/canvas")
    page.locator("[data-drawing]").scroll_into_view_if_needed()
    top = page.evaluate("scrollY")
    for stroke in LETTER_T:
        draw_by_finger(page, stroke)
    expect_guesses(page)
    assert page.evaluate("scrollY") == top
    assert page.locator("[data-drawing]").evaluate("c => c.width / c.clientWidth") == pytest.approx(3, abs=0.02)


def sent(page: Page, strokes: list[Stroke]) -> Image.Image:
    """Draw strokes on an empty canvas and return the picture that is sent of the last."""
    page.goto("/canvas")
    for stroke in strokes:
        with page.expect_request("**/api/v1/predictions") as request:
            draw_by_mouse(page, stroke)
    data = request.value.post_data_json["image"].partition(",")[2]
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("L")


def test_a_tiny_drawing_in_a_corner_is_sent_as_large_as_any(page: Page) -> None:
    tiny = [[(0.04 + x / 8, 0.9 + (y - 0.25) / 8) for x, y in stroke] for stroke in LETTER_T]
    large, small = (np.asarray(sent(page, strokes), int) < 128 for strokes in (LETTER_T, tiny))
    assert [np.flatnonzero(large.any(axis=axis))[[0, -1]].tolist() for axis in (0, 1)] == pytest.approx(
        np.array([np.flatnonzero(small.any(axis=axis))[[0, -1]].tolist() for axis in (0, 1)]), abs=12
    )
    assert (large == small).mean() > 0.93


def test_strokes_can_be_taken_back(page: Page) -> None:
    page.goto("/canvas")
    undo, clear = page.get_by_role("button", name="Undo"), page.get_by_role("button", name="Clear")
    expect(undo).to_be_disabled()
    seen = [surface(page)]
    for stroke in LETTER_T:
        draw_by_mouse(page, stroke)
        seen.append(surface(page))
    assert len(set(seen)) == 3
    undo.click()
    assert surface(page) == seen[1]
    expect_guesses(page)
    clear.click()
    assert surface(page) == seen[0]
    expect(undo).to_be_disabled()
    expect(page.get_by_role("status")).to_have_text("")
    expect(page.locator("[data-character]").first).to_have_text("–")


def test_a_chosen_picture_is_named(page: Page) -> None:
    page.goto("/canvas")
    page.get_by_label("Choose a picture", exact=True).set_input_files(
        {"name": "one.png", "mimeType": "image/png", "buffer": picture()}
    )
    expect_guesses(page)
    expect(page.get_by_alt_text("The picture that you chose")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_alt_text("The picture that you chose")).to_be_hidden()


def test_a_pasted_picture_is_named(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto("/canvas")
    page.evaluate(
        "async bytes => navigator.clipboard.write([new ClipboardItem("
        "{'image/png': new Blob([new Uint8Array(bytes)], {type: 'image/png'})})])",
        list(picture()),
    )
    page.keyboard.press("Control+V")
    expect_guesses(page)


@pytest.mark.parametrize(
    ("content", "kind", "words"),
    [
        (b"no picture at all", "text/plain", "This is not a picture."),
        (b"\x89PNG broken", "image/png", ""),
    ],
    ids=["text", "broken"],
)
def test_what_is_no_picture_is_told(
    content: bytes, kind: str, words: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(expected=("400 (Bad Request)",)).new_page()
    page.goto("/canvas")
    page.get_by_label("Choose a picture", exact=True).set_input_files(
        {"name": "x", "mimeType": kind, "buffer": content}
    )
    expect(page.locator("[data-status][data-wrong]")).not_to_have_text("")
    expect(page.get_by_role("status")).to_contain_text(words)
    expect(page.locator("[data-character]").first).to_have_text("–")
