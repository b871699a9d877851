"""What becomes of those who are being answered when a process is killed, and when the service is told to stop."""

import json
import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from typing import Any

from tests.serving.conftest import PATIENCE, Installation, Service, serving

VISITORS = 120
AT_ONCE = 12

BOOKS = """
import json
from django.core.management import call_command
from drcaptcha.challenges import ballots
from drcaptcha.challenges.models import Attempt
from drcaptcha.labelling.models import Vote
from drcaptcha.sites.models import Traffic
ballots.count()
attempts = list(Attempt.objects.filter(site__sitekey="{0}").select_related("captcha"))
due = sum(not slot.gates for one in attempts if one.passed for slot in one.captcha.slots)
votes = Vote.objects.filter(captcha__in=[one.captcha_id for one in attempts]).count()
days = Traffic.objects.filter(site__sitekey="{0}")
counted = [sum(getattr(day, name) for day in days) for name in ("passed", "failed")]
from drcaptcha.labelling import estimating
from django.utils import timezone
moved = estimating.relabel(now=timezone.now())
print(json.dumps([len(attempts), sum(one.passed for one in attempts), due, votes, counted, moved]))
"""

LOCK = """
import sys
from django.db import connection, transaction
with transaction.atomic(), connection.cursor() as cursor:
    if connection.vendor == "postgresql":
        cursor.execute("LOCK TABLE challenges_attempt IN EXCLUSIVE MODE")
    print("locked", flush=True)
    sys.stdin.readline()
"""


def answer(service: Service, challenge: dict[str, Any], letter: str) -> int:
    """Answer a challenge, again and again while nothing comes back; return the status in the end."""
    body = {"challenge": challenge["challenge"], "answer": letter * challenge["length"]}
    for _ in range(100):
        try:
            return service.call("/api/v1/answers", body)[0]
        except (OSError, HTTPException):
            time.sleep(0.1)
    raise AssertionError("nothing came back in ten seconds")


def test_a_killed_process_loses_no_vote_and_repeats_none(service: Service, installation: Installation) -> None:
    keys = json.loads(installation.manage("createsite", "Killed", "--host", "www.museum.example", "--json"))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ask = [pool.submit(service.call, "/api/v1/challenges", {"sitekey": keys["sitekey"]}) for _ in range(VISITORS)]
        challenges = [one.result()[1] for one in ask]
        answers = [pool.submit(answer, service, one, "AAAB"[n % 4]) for n, one in enumerate(challenges)]
        for done in (10, 40, 70):
            while sum(one.done() for one in answers) < done:
                time.sleep(0.005)
            os.kill(service.processes()[0], signal.SIGKILL)
        said = Counter(one.result() for one in answers)
    assert set(said) <= {HTTPStatus.OK, HTTPStatus.CONFLICT}
    attempts, passed, due, votes, counted, moved = json.loads(installation.run(BOOKS.format(keys["sitekey"])))
    assert (attempts, votes, moved) == (VISITORS, due, 0)
    assert counted == [passed, attempts - passed] == [VISITORS * 3 // 4, VISITORS // 4]


def test_who_is_being_answered_when_it_is_stopped_is_answered(installation: Installation) -> None:
    with serving(installation) as service, ThreadPoolExecutor(4) as pool:
        challenges = [service.call("/api/v1/challenges", {})[1] for _ in range(4)]
        with installation.start(LOCK) as holder:
            assert holder.stdin
            assert holder.stdout
            assert holder.stdout.readline() == "locked\n"
            bodies = [{"challenge": one["challenge"], "answer": "A" * one["length"]} for one in challenges]
            answers = [pool.submit(service.call, "/api/v1/answers", body) for body in bodies]
            time.sleep(0.5)
            service.process.terminate()
            time.sleep(1)
            assert not any(one.done() for one in answers)
            holder.stdin.write("\n")
            holder.stdin.flush()
            assert [one.result()[0] for one in answers] == [HTTPStatus.OK] * 4
        assert service.process.wait(20) == 0


def test_a_server_and_a_worker_that_end_come_back(installation: Installation) -> None:
    with serving(installation) as service:
        time.sleep(10)  # What ends sooner has never run.
        server, worker = service.parts()
        while service.parts()[0] == server:  # It ends where one of its processes dies twice in five seconds.
            for process in service.processes():
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            time.sleep(0.2)
        os.kill(worker, signal.SIGKILL)
        until = time.monotonic() + PATIENCE
        while worker in service.parts() or len(service.parts()) < 2:
            assert time.monotonic() < until
            time.sleep(0.1)
        challenge: dict[str, Any] = {}
        while not challenge:
            assert time.monotonic() < until
            with suppress(OSError, HTTPException):
                challenge = service.call("/api/v1/challenges", {})[1]
        assert answer(service, challenge, "A") == HTTPStatus.OK
        service.process.terminate()
        assert service.process.wait(20) == 0
