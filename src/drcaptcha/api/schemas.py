"""What the API takes and gives."""

from typing import Annotated, Literal

from ninja import Field, Schema
from pydantic import BaseModel

TOKEN = "AAAAAGkqPpwW8r4mLg0P"  # noqa: S105 - An example, not a secret.
MOST_GUESSES = 62
PICTURE = "data:image/jpeg;base64,/9j/4AAQSkZJRg"


class ErrorBody(Schema):
    code: str = Field(description="Stable, for programs.", examples=["challenge-used"])
    message: str = Field(description="For people: what happened and what to do.")


class Error(Schema):
    error: ErrorBody


class ChallengeRequest(BaseModel):
    sitekey: str | None = Field(
        None, max_length=64, pattern=r"^[\w-]*$", description="The site that asks; the service's own where absent."
    )
    action: str = Field(
        "",
        max_length=64,
        pattern=r"^[A-Za-z0-9_/-]*$",
        description="What the visitor is about to do, which the site's server is told when it redeems the response.",
        examples=["login"],
    )
    kind: Literal["picture", "audio"] = Field(
        default="picture", description="Whether it shall be seen or heard.", examples=["picture"]
    )
    language: str = Field(
        "",
        max_length=35,
        pattern=r"^[A-Za-z0-9-]*$",
        description="In which language it shall be spoken, such as de; English where that is not spoken here.",
        examples=["en"],
    )
    cdata: str = Field(
        "",
        max_length=255,
        pattern=r"^[A-Za-z0-9_-]*$",
        description="What else the site's server shall be told then. It is stored nowhere.",
        examples=["order-1234"],
    )


class Work(Schema):
    algorithm: str = Field(examples=["SHA-256"])
    salt: str = Field(examples=["kYx3dVq0m1Zl8c5UuR2bT7eA9wQ4sHj="])
    bits: int = Field(description="Zero bits with which each hash begins, at the least.", examples=[13])
    count: int = Field(description="How many numbers are to be found.", examples=[8])


class ChallengeIssued(Schema):
    challenge: str = Field(
        description="Sealed token that stands for the challenge; send it back with the answer.", examples=[TOKEN]
    )
    image: str | None = Field(default=None, description="The picture, as a data URL.", examples=[PICTURE])
    audio: str | None = Field(
        default=None, description="The sound, as a data URL, of a challenge that is heard.", examples=[None]
    )
    length: int = Field(description="How many characters it has.", examples=[6])
    expires_in: int = Field(description="Seconds in which it can be answered.", examples=[300])
    audio_offered: bool = Field(default=False, description="Whether challenges can be heard here.")
    work: Work | None = Field(
        default=None,
        description="Proof of work to be sent with the answer; null where none is asked for. For each i from 0 to "
        "count - 1 a whole number n such that the SHA-256 of the text salt:i:n begins with so many zero bits.",
    )
    test: bool = Field(default=False, description="Whether it was issued for a test key, and protects nothing.")


class AnswerRequest(BaseModel):
    challenge: str = Field(max_length=2048, description="The token that came with the picture.", examples=[TOKEN])
    answer: str = Field(
        max_length=100,
        description="What the visitor typed, from left to right; ? for a character that can't be read.",
        examples=["eaATOM"],
    )

    work: list[Annotated[int, Field(ge=0, lt=2**53)]] | None = Field(
        default=None,
        max_length=64,
        description="The numbers that the challenge's proof of work asks for.",
        examples=[None],
    )


class AnswerJudged(Schema):
    passed: bool = Field(description="Whether the controls were typed right.", examples=[True])
    response: str | None = Field(description="Sealed token that a pass earns; null otherwise.", examples=[TOKEN])


class PredictionRequest(Schema):
    image: str = Field(description="A picture of one character, as a data URL.", examples=[PICTURE])
    top: int = Field(3, ge=1, le=MOST_GUESSES, description="How many guesses are wanted.", examples=[3])


class Guess(Schema):
    character: str = Field(examples=["A"])
    probability: float = Field(ge=0, le=1, examples=[0.93])


class Predictor(Schema):
    id: int = Field(description="The ensemble that says so.", examples=[3])
    name: str = Field(examples=["compact + slim, 2026-05-04 12:00"])
    evaluation: int = Field(
        description="Its version: the evaluation that froze its weights and calibration.", examples=[7]
    )


class Prediction(Schema):
    guesses: list[Guess] = Field(description="The likeliest characters, best first.")
    ensemble: Predictor


class OldCaptcha(Schema):
    captcha: str = Field(description="Sealed token that stands for the captcha.", examples=[TOKEN])
    image: str = Field(description="The picture, as a data URL.", examples=[PICTURE])


class OldAnswer(Schema):
    captcha: str = Field("", description="The token that came with the picture.", examples=[TOKEN])
    value: str = Field("", description="What the visitor typed.", examples=["eaATOM"])


class OldVerdict(Schema):
    test: bool = Field(description="Whether the controls were typed right.", examples=[True])


class OldMessage(Schema):
    message: str = Field(description="What happened and what to do.")


SECRET = "oL5b8HcRxJmD2k3e"  # noqa: S105 - An example, not a secret.


class Siteverify(Schema):
    secret: str = Field(description="The site's secret.", examples=[SECRET])
    response: str = Field(description="What the visitor's pass has earned, as the page sent it.", examples=[TOKEN])
    remoteip: str = Field("", description="The visitor's address. It is neither looked at nor kept.")


class HcaptchaSiteverify(Siteverify):
    sitekey: str = Field("", description="The site key that the response has to be of.")


class TurnstileSiteverify(Siteverify):
    idempotency_key: str = Field("", description="A UUID; with the same one the same is answered again.")


class Redeemed(Schema):
    success: bool = Field(description="Whether the visitor has passed; it is said once.", examples=[True])
    challenge_ts: str = Field(
        "", description="When the challenge was issued; after a pass.", examples=["2026-05-04T12:00:00Z"]
    )
    hostname: str = Field(
        "",
        description="The host of the page that showed it; empty where its browser did not say.",
        examples=["www.example.org"],
    )
    error_codes: list[str] = Field(
        [], alias="error-codes", description="Why not, where there was no pass.", examples=[[]]
    )


class RecaptchaRedeemed(Redeemed):
    action: str = Field(
        "", description="What the page said the visitor was about to do, if it did.", examples=["login"]
    )


class HcaptchaRedeemed(Redeemed):
    credit: bool = Field(
        default=True, description="Whether the answer has helped to label handwriting.", examples=[True]
    )


class TurnstileRedeemed(RecaptchaRedeemed):
    challenge_ts: str = Field(
        "", description="When the challenge was solved; after a pass.", examples=["2026-05-04T12:00:07.000Z"]
    )
    cdata: str = Field("", description="What else the page said.", examples=["order-1234"])
