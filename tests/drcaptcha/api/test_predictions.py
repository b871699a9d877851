"""Predictions as a program sees them; tests/drcaptcha/test_loop.py has those that succeed."""

import base64
import io

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from PIL import Image, ImageDraw

pytestmark = pytest.mark.django_db
JSON = "application/json"


def drawing(side: int = 64, file_format: str = "PNG", mode: str = "L") -> bytes:
    image = Image.new(mode, (side, side), "white" if mode != "F" else 255)
    ImageDraw.Draw(image).line([(side // 2, side // 8), (side // 2, side * 7 // 8)], fill=0, width=side // 10)
    file = io.BytesIO()
    image.save(file, file_format)
    return file.getvalue()


def refusal(client: Client, body: object, content_type: str = JSON) -> tuple[int, str]:
    response = client.post("/api/v1/predictions", body, content_type=content_type)
    return response.status_code, response.json()["error"]["code"]


def test_without_networks_it_says_so(client: Client) -> None:
    image = f"data:image/png;base64,{base64.b64encode(drawing()).decode()}"
    assert refusal(client, {"image": image}) == (503, "not-ready")
    upload = SimpleUploadedFile("letter.png", drawing())
    assert client.post("/api/v1/predictions", {"image": upload}).status_code == 503


@pytest.mark.parametrize(
    "url",
    [
        "",
        "data:",
        "data:text/html;base64,AAAA",
        "data:image/png,AAAA",
        "data:image/png;base64,é",
        "data:image/png;base64,!",
    ],
)
def test_a_broken_data_url_is_refused(client: Client, url: str) -> None:
    assert refusal(client, {"image": url}) == (400, "picture-rejected")


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"hello", drawing()[:60]], ids=["empty", "stump", "text", "cut"])
def test_what_is_no_picture_is_refused(client: Client, data: bytes) -> None:
    image = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    assert refusal(client, {"image": image}) == (400, "picture-rejected")


def test_a_picture_that_would_take_much_memory_is_refused(client: Client) -> None:
    file = io.BytesIO()
    Image.fromarray(np.zeros((5000, 5000), np.float32)).save(file, "TIFF", compression="tiff_adobe_deflate")
    image = f"data:image/tiff;base64,{base64.b64encode(file.getvalue()).decode()}"
    assert refusal(client, {"image": image}) == (400, "picture-rejected")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        ("{", JSON),
        ("[]", JSON),
        ("{}", JSON),
        ("[" * 100_000, JSON),
        ('{"image": "\\ud800"}', JSON),
        ('{"image": 7}', JSON),
        ('{"image": "data:image/png;base64,AAAA", "top": 0}', JSON),
        ('{"image": "data:image/png;base64,AAAA", "top": 63}', JSON),
        ('{"image": "data:image/png;base64,AAAA", "top": true}', JSON),
        ('{"image": "data:image/png;base64,AAAA", "top": [1]}', JSON),
        ('{"image": "data:image/png;base64,AAAA"}', "text/plain"),
        ("", JSON),
    ],
)
def test_a_request_without_a_picture_is_refused(client: Client, body: str, content_type: str) -> None:
    status, code = refusal(client, body, content_type)
    assert status == 400
    assert code in {"bad-request", "picture-rejected"}


def test_what_is_wrong_with_a_picture_is_told_as_the_command_tells_it(client: Client) -> None:
    blank, frames = io.BytesIO(), io.BytesIO()
    Image.new("L", (50, 50), 255).save(blank, "PNG")
    first, second = (Image.open(io.BytesIO(drawing(side))).resize((64, 64)) for side in (64, 90))
    first.save(frames, "GIF", save_all=True, append_images=[second])
    for content, words in ((b"", "empty"), (blank.getvalue(), "blank"), (frames.getvalue(), "several pictures")):
        upload = SimpleUploadedFile("letter.png", content)
        response = client.post("/api/v1/predictions", {"image": upload})
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "picture-rejected"
        assert words in response.json()["error"]["message"]


@pytest.mark.parametrize("top", ["0", "x", "-1", "63", "²"])
def test_an_unfit_number_of_guesses_in_a_form_is_refused(client: Client, top: str) -> None:
    upload = SimpleUploadedFile("letter.png", drawing())
    response = client.post("/api/v1/predictions", {"image": upload, "top": top})
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad-request")


@pytest.mark.parametrize("path", ["challenges", "answers", "predictions"])
def test_a_body_that_no_call_needs_is_refused(client: Client, path: str) -> None:
    response = client.post(f"/api/v1/{path}", "x" * (13 << 20), content_type=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "request-entity-too-large")


def test_a_body_of_unknown_length_is_refused(client: Client) -> None:
    response = client.post("/api/v1/answers", headers={"Transfer-Encoding": "chunked"}, CONTENT_LENGTH="")
    assert (response.status_code, response.json()["error"]["code"]) == (411, "length-required")
