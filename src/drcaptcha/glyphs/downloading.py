"""A large file comes down whole and as published, however often the line breaks."""

import hashlib
import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from drcaptcha.errors import NotPossible

EMNIST_URL = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
EMNIST_MD5 = "58c8d27c78d21e728a6bc7b3cc06412e"

PAUSES = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Seconds to wait before each new attempt; any progress begins the row anew."""

_BLOCK = 1 << 18

Progress = Callable[[int, int | None], object]
"""Called with the bytes that are here and the bytes of the whole, None where the server does not say."""


class _BrokenOff(Exception):
    """An attempt ended early; another may fetch the rest."""


@dataclass(frozen=True)
class _Download:
    """One file on its way: ``partial`` holds what has come so far."""

    url: str
    partial: Path
    stall: float
    progress: Progress

    @property
    def here(self) -> int:
        return self.partial.stat().st_size if self.partial.exists() else 0

    def attempt(self) -> None:
        """Fetch what is missing.

        Raises:
            _BrokenOff: it may go better next time.
            NotPossible: it never will.
        """
        headers = {"User-Agent": "drcaptcha"} | ({"Range": f"bytes={self.here}-"} if self.here else {})
        try:
            request = urllib.request.Request(self.url, headers=headers)  # noqa: S310 (the scheme was checked)
            with urllib.request.urlopen(request, timeout=self.stall) as response:  # noqa: S310
                self._receive(response)
        except urllib.error.HTTPError as fault:
            if fault.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                # All of it is here, or what is here is not of this file: the checksum tells.
                return
            if fault.code < http.HTTPStatus.INTERNAL_SERVER_ERROR:
                raise NotPossible(f"{self.url}: the server answers {fault.code} {fault.reason}.") from fault
            raise _BrokenOff(f"the server answers {fault.code} {fault.reason}") from fault
        except (OSError, http.client.HTTPException) as fault:
            raise _BrokenOff(str(fault) or type(fault).__name__) from fault

    def _receive(self, response: http.client.HTTPResponse) -> None:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        length = response.headers.get("Content-Length")
        with self.partial.open("ab" if resumed else "wb") as file:
            here = file.tell()
            total = here + int(length) if length else None
            while block := response.read1(_BLOCK):
                file.write(block)
                here += len(block)
                self.progress(here, total)
        if total is not None and here < total:
            raise _BrokenOff(f"the connection broke off at {here:,} of {total:,} bytes")


def download(
    url: str,
    target: Path,
    md5: str,
    *,
    progress: Progress,
    stall: float = 30.0,
    pauses: Sequence[float] = PAUSES,
    sleep: Callable[[float], object] = time.sleep,
) -> Path:
    """Fetch ``url`` to ``target`` unless it is there, and return it.

    ``target`` appears only when it is whole and has the checksum ``md5``. What came of a broken attempt is kept beside
    it and continued, now or in the next call. ``stall`` is how many seconds may pass without a byte.

    Raises:
        NotPossible: the server refuses, keeps breaking off, or has other bytes than were promised.
    """
    if target.exists():
        return target
    if not url.startswith(("https://", "http://")):
        raise NotPossible(f"{url}: only http and https addresses can be downloaded.")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = _Download(url, target.with_name(target.name + ".part"), stall, progress)
    # What an earlier call left may be of another file, so a wrong checksum is final only for a fresh download.
    fresh = work.here == 0
    _fetch(work, pauses, sleep)
    if not fresh and _md5(work.partial) != md5:
        work.partial.unlink()
        _fetch(work, pauses, sleep)
    if (found := _md5(work.partial)) != md5:
        work.partial.unlink()
        raise NotPossible(f"{url}: the file that came has the MD5 {found}, not {md5}. Check the address and try again.")
    return work.partial.replace(target)


def _fetch(work: _Download, pauses: Sequence[float], sleep: Callable[[float], object]) -> None:
    """Attempt until it is whole; give up after as many attempts in vain as there are pauses."""
    failures, most = 0, work.here
    while True:
        try:
            return work.attempt()
        except _BrokenOff as fault:
            # A server that can't resume may bring less than before; only what is new counts, or this would never end.
            failures = 0 if work.here > most else failures
            most = max(most, work.here)
            if failures >= len(pauses):
                raise NotPossible(
                    f"{work.url}: {fault}. What has come is kept; run it again, or name a copy of the file."
                ) from fault
            sleep(pauses[failures])
            failures += 1


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
