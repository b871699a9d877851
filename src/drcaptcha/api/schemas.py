"""What the API takes and gives."""

from ninja import Field, Schema


class ErrorBody(Schema):
    code: str = Field(description="Stable, for programs.", examples=["challenge-used"])
    message: str = Field(description="For people: what happened and what to do.")


class Error(Schema):
    error: ErrorBody


class ChallengeRequest(Schema):
    sitekey: str | None = Field(None, max_length=64, description="The site that asks; the service's own where absent.")


class ChallengeIssued(Schema):
    challenge: str = Field(description="Sealed token that stands for the challenge; send it back with the answer.")
    image: str = Field(description="The picture, as a data URL.")
    length: int = Field(description="How many characters it shows.", examples=[7])
    expires_in: int = Field(description="Seconds in which it can be answered.", examples=[300])


class AnswerRequest(Schema):
    challenge: str = Field(max_length=512)
    answer: str = Field(max_length=100, description="What the visitor typed, from left to right.", examples=["eaATOM"])


class AnswerJudged(Schema):
    passed: bool
    response: str | None = Field(description="Sealed token that a pass earns; null otherwise.")


class PredictionRequest(Schema):
    image: str = Field(description="A picture of one character, as a data URL.")


class Guess(Schema):
    character: str = Field(examples=["A"])
    probability: float = Field(ge=0, le=1, examples=[0.93])


class Prediction(Schema):
    guesses: list[Guess] = Field(description="The likeliest characters, best first.")


class OldCaptcha(Schema):
    captcha: str
    image: str = Field(description="The picture, as a data URL.")


class OldAnswer(Schema):
    captcha: str = Field("", max_length=512)
    value: str = Field("", max_length=100)


class OldVerdict(Schema):
    test: bool


class OldMessage(Schema):
    message: str
