"""What can go wrong, each with a stable code for programs and a sentence for people."""

from http import HTTPStatus


class DrCaptchaError(Exception):
    """The root of all errors that a caller may want to catch."""

    code = "error"
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    message = "Something went wrong."
    retry_after = 0
    """After how many seconds it may go better; 0 where that is not known."""

    def __init__(self, message: str | None = None) -> None:
        self.message = message or type(self).message
        super().__init__(self.message)


class BadRequest(DrCaptchaError):
    """The request is not of the form that the endpoint takes."""

    code = "bad-request"
    status = HTTPStatus.BAD_REQUEST
    message = "The request is not of the form that this endpoint takes."


class PictureRejected(BadRequest):
    """The picture sent can't be read as one character."""

    code = "picture-rejected"
    message = "This is not a picture of a character."


class UnknownSite(DrCaptchaError):
    """No site has this site key."""

    code = "unknown-sitekey"
    status = HTTPStatus.NOT_FOUND
    message = "No site has this site key."


class HostNotAllowed(DrCaptchaError):
    """The call comes from a page on a host that the site has not listed."""

    code = "host-not-allowed"
    status = HTTPStatus.FORBIDDEN
    message = "This site does not list the host that the call comes from."


class SiteClosed(DrCaptchaError):
    """The site was closed by its owner."""

    code = "site-closed"
    status = HTTPStatus.LOCKED  # A page of another host may read it, other than a 403.
    message = "This site is closed. Its owner can open it again."


class QuotaReached(DrCaptchaError):
    """The site has had as many challenges today (UTC) as it may have."""

    code = "quota-reached"
    status = HTTPStatus.TOO_MANY_REQUESTS
    message = "This site has had its challenges for today. Try again tomorrow."

    def __init__(self, retry_after: int) -> None:
        super().__init__()
        self.retry_after = retry_after


class TooManyRequests(DrCaptchaError):
    """The source, or the site, has called too often."""

    code = "too-many-requests"
    status = HTTPStatus.TOO_MANY_REQUESTS
    message = "Too many requests. Wait a while."

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many requests. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


class WorkMissing(BadRequest):
    """The answer came without the proof of work that its challenge asks for."""

    code = "work-missing"
    message = "This challenge asks for proof of work; send it with the answer."


class WorkWrong(BadRequest):
    """The proof of work is none."""

    code = "work-wrong"
    message = "The proof of work does not solve the puzzles of this challenge."


class ChallengeError(DrCaptchaError):
    """The challenge can't be judged."""

    code = "challenge-invalid"
    status = HTTPStatus.BAD_REQUEST
    message = "This challenge was not issued here. Ask for a new one."


class ChallengeExpired(ChallengeError):
    """The challenge is too old."""

    code = "challenge-expired"
    status = HTTPStatus.GONE
    message = "This challenge has expired. Ask for a new one."


class ChallengeUsed(ChallengeError):
    """The challenge has had its one attempt."""

    code = "challenge-used"
    status = HTTPStatus.CONFLICT
    message = "This challenge was answered before. Ask for a new one."


class NotReady(DrCaptchaError):
    """The installation lacks something that the request needs; the message says what."""

    code = "not-ready"
    status = HTTPStatus.SERVICE_UNAVAILABLE
    message = "This server is not ready yet."


DATABASE_BUSY = "The database takes nothing at the moment. Try again later; the server's log has the reason."
"""Said where the database does not answer, is locked for long, or has no room."""


class AudioUnavailable(DrCaptchaError):
    """Nothing is spoken on this installation."""

    code = "audio-unavailable"
    status = HTTPStatus.NOT_IMPLEMENTED
    message = "This server speaks no challenges: the extra 'audio' is not installed, or DRCAPTCHA_AUDIO is 0."


class NotPossible(DrCaptchaError):
    """An administrator asked for what can't be done; the message says why and what would help."""

    code = "not-possible"
    status = HTTPStatus.CONFLICT
