"""What an operator sees of the running service: whether it lives, whether it is ready, what it does, and its log.

``/live``, ``/ready`` and ``/metrics`` are answered before all else, so that a probe need not know the service's name.
"""

import logging
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from threading import Event

from django.conf import settings
from django.contrib.staticfiles.storage import staticfiles_storage
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.crypto import constant_time_compare
from django_tasks import TaskResultStatus
from django_tasks_db.models import DBTaskResult
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest, multiprocess
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from drcaptcha import room
from drcaptcha.challenges import tallies
from drcaptcha.challenges.composing import CONTROLS
from drcaptcha.challenges.models import Captcha
from drcaptcha.glyphs.models import Glyph
from drcaptcha.logs import REQUEST
from drcaptcha.sites.models import Traffic

Handler = Callable[[HttpRequest], HttpResponse]

REQUESTS = Counter("drcaptcha_requests", "Requests by route, method and status.", ["route", "method", "status"])
SECONDS = Histogram(
    "drcaptcha_request_seconds",
    "Time that requests took, by route.",
    ["route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)


class State:
    """What the database holds, counted when it is asked for."""

    def collect(self) -> list[Metric]:
        """Return the sums of all sites' traffic, and how many glyphs are in each state and captchas in the pool."""
        sums = Traffic.objects.aggregate(
            **{name: Sum(name) for name in ("issued", "passed", "failed", "redeemed", "labels")}
        )
        events = CounterMetricFamily("drcaptcha_events", "What came of challenges, on all sites.", labels=["event"])
        for name, total in sums.items():
            events.add_metric([name], total or 0)
        glyphs = GaugeMetricFamily("drcaptcha_glyphs", "Glyphs by state.", labels=["state"])
        for state, count in Glyph.objects.values_list("state").annotate(Count("pk")).order_by():
            glyphs.add_metric([state], count)
        pool = Captcha.objects.waiting(datetime.now(UTC)).count()
        tasks = DBTaskResult.objects.filter(status=TaskResultStatus.READY).count()
        return [
            events,
            glyphs,
            GaugeMetricFamily("drcaptcha_pool", "Captchas that wait in the pool.", pool),
            GaugeMetricFamily("drcaptcha_tasks_waiting", "Tasks that wait for the worker.", tasks),
        ]


def metrics() -> bytes:
    """Return everything in Prometheus's text format, the requests of all server processes together."""
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(settings.DRCAPTCHA_METRICS))  # type: ignore[no-untyped-call]
    registry.register(State())
    return generate_latest(registry)


def hold_room() -> None:
    """Take the room for the files of this process's counts before it counts; where there is none it does not count."""
    try:
        for kind in ("counter", "histogram"):
            with (settings.DRCAPTCHA_METRICS / f"{kind}_{os.getpid()}.db").open("ab") as file:
                room.hold(file, ROOM)
    except OSError as error:
        log.warning(
            "There is no room for the counts of requests, so these are not counted until the next start: %s", error
        )
        _no_room.set()


ROOM = 2**20
"""Bytes for the counts of one kind of one process: enough for 5,000."""

_no_room = Event()
"""Set where this process has found none."""


def forget_processes() -> None:
    """Let go of the counts of server processes that have ended. The files are named by the process's number."""
    for path in settings.DRCAPTCHA_METRICS.glob("*_*.db"):
        try:
            os.kill(int(path.stem.rpartition("_")[2]), 0)
        except ProcessLookupError:
            path.unlink(missing_ok=True)
        except PermissionError:
            continue  # It is another user's, and runs.


LEAST_ROOM = 2**20
"""With fewer bytes left on the disk SQLite is about to refuse what is written."""


def missing() -> list[str]:
    """Return what keeps this installation from serving; nothing where it is ready."""
    try:
        connection.ensure_connection()
        plan = MigrationExecutor(connection)
        if plan.migration_plan(plan.loader.graph.leaf_nodes()):
            return ["migrations: run manage.py migrate"]
        found = []
        if not Captcha.objects.waiting(datetime.now(UTC)).exists():
            fewest = CONTROLS[1]
            if len(Glyph.objects.controls().values_list("pk")[:fewest]) < fewest:
                found.append(f"controls: import {fewest} labelled glyphs at the least")
    except DatabaseError:
        return ["database: it does not answer"]
    if settings.REDIS_URL and not tallies.reachable():
        found.append("redis: it does not answer")
    if connection.vendor == "sqlite" and shutil.disk_usage(settings.MEDIA_ROOT.parent).free < LEAST_ROOM:
        found.append("room: the disk of the state folder is full")
    if not staticfiles_storage.exists("staticfiles.json"):
        found.append("static files: run manage.py collectstatic")
    return found


def probes(get_response: Handler) -> Handler:
    """Answer ``/live``, ``/ready`` and ``/metrics``."""

    def live(_: HttpRequest) -> HttpResponse:
        return HttpResponse("live\n", content_type="text/plain")

    def ready(_: HttpRequest) -> HttpResponse:
        found = missing()
        return JsonResponse({"ready": not found, "missing": found}, status=503 if found else 200)

    def measured(request: HttpRequest) -> HttpResponse:
        if not _may_measure(request):
            return HttpResponse("Send the token: Authorization: Bearer …\n", status=403, content_type="text/plain")
        return HttpResponse(metrics(), content_type="text/plain; version=0.0.4; charset=utf-8")

    answers = {"/live": live, "/ready": ready, "/metrics": measured}

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = answers.get(request.path)
        if answer is None:
            return get_response(request)
        response = answer(request) if request.method in {"GET", "HEAD"} else HttpResponse(status=405)
        response["Cache-Control"] = "no-store"
        return response

    return middleware


def _may_measure(request: HttpRequest) -> bool:
    """Return whether a call comes from this very machine, through no proxy, or has the token."""
    token = settings.DRCAPTCHA_METRICS_TOKEN
    if token:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    try:
        here = ip_address(request.META.get("REMOTE_ADDR", "")).is_loopback
    except ValueError:
        here = False
    return here and "X-Forwarded-For" not in request.headers and "Forwarded" not in request.headers


_NAMED = re.compile(r"[\w.-]{1,64}", re.ASCII)
log = logging.getLogger("drcaptcha.requests")


def observed(get_response: Handler) -> Handler:
    """Count and time each request, give it a name, and write it into the log: its path, but no address, no query."""

    def middleware(request: HttpRequest) -> HttpResponse:
        given = request.META.get("HTTP_X_REQUEST_ID", "") if settings.DRCAPTCHA_PROXIES else ""
        name = given if _NAMED.fullmatch(given) else uuid.uuid4().hex
        held, start = REQUEST.set(name), time.perf_counter()
        try:
            response = get_response(request)
            took = time.perf_counter() - start
            route = request.resolver_match.route if request.resolver_match else "none"
            if not _no_room.is_set():
                REQUESTS.labels(route, _verb(request), response.status_code).inc()
                SECONDS.labels(route).observe(took)
            about = {"method": request.method, "path": request.path, "status": response.status_code}
            log.info("request", extra={"about": about | {"milliseconds": round(1000 * took, 1)}})
        finally:
            REQUEST.reset(held)
        response["X-Request-ID"] = name
        return response

    return middleware


def _verb(request: HttpRequest) -> str:
    """Return the method, or one name for all that nobody knows: whoever calls could make up any number of them."""
    known = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
    return request.method if request.method in known else "other"
