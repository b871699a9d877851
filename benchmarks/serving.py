"""How many visitors a core serves, beside django-simple-captcha under the same server and database.

    .venv/bin/python benchmarks/serving.py --folder results [--seconds 10] [--glyphs 1000 100000 1000000]
    .venv/bin/python benchmarks/serving.py --folder results --server granian gunicorn-sync waitress
    .venv/bin/python benchmarks/serving.py --folder results --soak 10
    .venv/bin/python benchmarks/serving.py --folder results --database postgres://postgres@localhost/ [--glyphs …]

A cycle is what one visitor takes: a challenge is issued, its picture fetched, and the right answer judged; ours takes
the votes with it. Both run with two processes on SQLite, or on a PostgreSQL server in which databases may be made, and
wrk (from the system's packages) is the visitors, 32 at once, each cycle from an address of its own. All glyphs are said
to be an A, so that wrk knows it. Told are cycles per core-second (processor time of the server's processes and of
PostgreSQL's, so the client's does not count) and the time that requests take; for each number of glyphs also at 80 % of
the most, and how many responses a core redeems. ``--soak`` goes on at half the most, and tells each minute what went
wrong and how much memory the server has. The peer, and servers that are compared, are installed into the folder.
"""

import argparse
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from importing import MANAGE

PEER = "django-simple-captcha==0.6.3"
OURS = "drcaptcha.wsgi:application"
CONNECTIONS = 32

OURS_LUA = """
local pending, head = {}, {["Content-Type"] = "application/json"}
cycles, faults = 0, 0
function init(args) pause = tonumber(args[1]) or 0; math.randomseed(tonumber(tostring({}):match("0x(%x+)"), 16)) end
function delay() return pause end
function request()
  local answer = table.remove(pending)
  if answer then return answer end
  return wrk.format("POST", "/api/v1/challenges", head, "{}")
end
function response(status, headers, body)
  local token, length = body:match('"challenge": ?"([^"]+)"'), body:match('"length": ?(%d+)')
  if token then
    local from = {["Content-Type"] = "application/json", ["X-Forwarded-For"] =
      string.format("%d.%d.%d.%d", math.random(1, 223), math.random(0, 255), math.random(0, 255), math.random(1, 254))}
    local said = string.format('{"challenge": "%s", "answer": "%s"}', token, string.rep("A", tonumber(length)))
    table.insert(pending, wrk.format("POST", "/api/v1/answers", from, said))
  elseif body:match('"passed": ?true') then cycles = cycles + 1
  else faults = faults + 1; if faults < 3 then io.stderr:write(status .. " " .. body .. "\\n") end end
end
"""

REDEEM_LUA = """
local threads, number = 0, 0
function setup(thread) thread:set("number", threads); threads = threads + 1; table.insert(all, thread) end
local head = {["Content-Type"] = "application/x-www-form-urlencoded"}
local next_line
cycles, faults = 0, 0
function init(args)
  local lines, at = {}, 0
  for line in io.lines(args[2]) do at = at + 1; if at % 2 == number then table.insert(lines, line) end end
  next_line = function() return table.remove(lines) or "secret=none&response=none" end
end
function request() return wrk.format("POST", "/recaptcha/api/siteverify", head, next_line()) end
function response(status, headers, body)
  if body:match('"success": ?true') then cycles = cycles + 1 elseif status ~= 200 then faults = faults + 1 end
end
"""

PEER_LUA = """
local pending, forms, page = {}, {}, {["X-Requested-With"] = "XMLHttpRequest"}
cycles, faults = 0, 0
function init(args) pause = tonumber(args[1]) or 0 end
function delay() return pause end
function request()
  local step = table.remove(pending)
  if step then return step end
  return wrk.format("GET", "/captcha/refresh/", page)
end
function response(status, headers, body)
  local key = body:match('"key": ?"([^"]+)"')
  if key then
    table.insert(forms, "captcha_0=" .. key .. "&captcha_1=PASSED")
    table.insert(pending, wrk.format("GET", "/captcha/image/" .. key .. "/"))
  elseif (headers["Content-Type"] or headers["content-type"]) == "image/png" then
    -- Pictures come in the order in which they were asked for, or nearly so.
    local head = {["Content-Type"] = "application/x-www-form-urlencoded"}
    table.insert(pending, wrk.format("POST", "/form/", head, table.remove(forms, 1)))
  elseif body == "passed" then cycles = cycles + 1
  elseif status ~= 200 or body == "failed" then faults = faults + 1 end
end
"""

SUMMARY_LUA = """
all = {}
setup = setup or function(thread) table.insert(all, thread) end
function done(summary, latency, requests)
  local wrong = summary.errors
  local cycles, faults = 0, wrong.connect + wrong.read + wrong.write + wrong.timeout
  for _, thread in ipairs(all) do cycles = cycles + thread:get("cycles"); faults = faults + thread:get("faults") end
  local said = '{"cycles": %d, "faults": %d, "requests": %d, "seconds": %f, "p50": %f, "p99": %f}\\n'
  io.write(string.format(said, cycles, faults, summary.requests, summary.duration / 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""

PEER_PROJECT = """
import os
import dj_database_url
from django import forms
from django.conf import settings
from django.http import HttpResponse
from django.urls import include, path

settings.configure(
    SECRET_KEY="of a benchmark", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, USE_TZ=True,
    CAPTCHA_TEST_MODE=True,
    INSTALLED_APPS=["captcha"], MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}],
    DATABASES={"default": dj_database_url.parse(os.environ["PEER_DATABASE"]) | {"CONN_MAX_AGE": 600} | (
        {"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30,
                     "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"}}
        if os.environ["PEER_DATABASE"].startswith("sqlite") else {})},
)
import django
django.setup()
from captcha.fields import CaptchaField
from django.core.wsgi import get_wsgi_application


class Form(forms.Form):
    captcha = CaptchaField()


def form(request):
    return HttpResponse("passed" if Form(request.POST).is_valid() else "failed")


urlpatterns = [
    path("captcha/", include("captcha.urls")), path("form/", form), path("empty/", lambda request: HttpResponse("")),
]
application = get_wsgi_application()
"""


@dataclass(frozen=True)
class Load:
    """What came of a run: visitors served, what went wrong, seconds, and milliseconds that requests took."""

    cycles: int
    faults: int
    requests: int
    seconds: float
    p50: float
    p99: float
    core_seconds: float

    @property
    def rate(self) -> float:
        """Visitors per core-second of the server."""
        return self.cycles / self.core_seconds


SERVERS = {
    "granian": "granian --interface wsgi --workers 2 --blocking-threads 4 --no-ws --log-level error --port {port}",
    "granian-1": "granian --interface wsgi --workers 2 --blocking-threads 1 --no-ws --log-level error --port {port}",
    "gunicorn-sync": "gunicorn --workers 2 --log-level error --bind 127.0.0.1:{port}",
    "gunicorn-gthread": "gunicorn --workers 2 -k gthread --threads 4 --log-level error --bind 127.0.0.1:{port}",
    "waitress": "waitress --threads 8 --listen 127.0.0.1:{port}",
}
"""How each is called, with two processes where it can have several. The first is what ``script/server`` takes."""


class Server:
    """An application server and its processes."""

    def __init__(self, python: Path, name: str, application: str, environment: dict[str, str], folder: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        command = SERVERS[name].format(port=self.port).split()
        self.process = subprocess.Popen(
            [python, "-m", *command, application], env=environment, cwd=folder, start_new_session=True
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self.port), 0.1).close()
            except OSError:
                time.sleep(0.1)
            else:
                break
        time.sleep(1)

    def processes(self) -> list[int]:
        """Return the numbers of the server's processes."""
        group = os.getpgid(self.process.pid)
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    if os.getpgid(int(entry.name)) == group:
                        found.append(int(entry.name))
                except ProcessLookupError:
                    continue
        return found

    def core_seconds(self) -> float:
        """Return the processor time that the server has taken, and PostgreSQL, which is idle where it is not asked."""
        ticks = 0
        for process in [*self.processes(), *postgres()]:
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> float:
        """Return the resident memory of all its processes in MiB."""
        pages = sum(int(Path(f"/proc/{process}/statm").read_text().split()[1]) for process in self.processes())
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def load(self, script: Path, seconds: float, *, pause: int = 0, lines: Path | None = None) -> Load:
        """Let visitors come for so long; ``pause`` milliseconds before each request of a connection."""
        before = self.core_seconds()
        command = ["wrk", "-t2", f"-c{CONNECTIONS}", f"-d{seconds:.0f}s", "--timeout", "30s", "-s", str(script)]
        said = subprocess.run(
            [*command, f"http://127.0.0.1:{self.port}", "--", str(pause), str(lines or "")],
            check=True,
            capture_output=True,
            text=True,
        )
        print(said.stderr, end="", file=sys.stderr)
        return Load(**json.loads(said.stdout.splitlines()[-1]), core_seconds=self.core_seconds() - before)

    def load_at(self, share: float, peak: Load, script: Path, seconds: float) -> Load:
        """Let as many visitors come as are this share of the ``peak``, or nearly so."""
        wanted = 1000 * CONNECTIONS * peak.seconds / peak.requests / share
        pause = round(0.9 * wanted)
        for _ in range(2):  # How long a request takes at that load is not known beforehand.
            tried = self.load(script, 2, pause=pause)
            pause = max(1, round(pause + wanted - 1000 * CONNECTIONS * tried.seconds / tried.requests))
        return self.load(script, seconds, pause=pause)

    def stop(self) -> None:
        """End it."""
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(10)


def postgres() -> list[int]:
    """Return the numbers of PostgreSQL's processes on this machine."""
    names = {path.parent: path.read_text().strip() for path in Path("/proc").glob("[0-9]*/comm")}
    return [int(folder.name) for folder, name in names.items() if name == "postgres"]


def database(server: str, name: str) -> str:
    """Return the address of a database on a PostgreSQL server; make it, unless it is there."""
    import psycopg

    with psycopg.connect(server, dbname="postgres", autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
            connection.execute(f'CREATE DATABASE "{name}"')
    return urlsplit(server)._replace(path=f"/{name}").geturl()


@contextmanager
def serving(
    python: Path, application: str, environment: dict[str, str], folder: Path, name: str = "granian"
) -> Iterator[Server]:
    """Run a server for the time of the block."""
    server = Server(python, name, application, environment, folder)
    try:
        yield server
    finally:
        server.stop()


def peer(folder: Path, server: str) -> tuple[Path, dict[str, str]]:
    """Install the peer into the folder, unless it is there; return its Python and environment."""
    python = folder / "peer/bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder / "peer"], check=True)
        wanted = [PEER, "Django~=5.2.0", "granian~=2.8", "dj-database-url", "psycopg[binary]"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *wanted], check=True)
    (folder / "peer_project.py").write_text(PEER_PROJECT)
    address = database(server, "drcaptcha-peer") if server else f"sqlite:///{folder / 'peer.sqlite3'}"
    environment = os.environ | {"PEER_DATABASE": address, "PYTHONPATH": str(folder)}
    migrate = (
        "import peer_project; from django.core.management import call_command; call_command('migrate', verbosity=0)"
    )
    subprocess.run([python, "-c", migrate], check=True, env=environment)
    return python, environment


def ours(folder: Path, glyphs: int, server: str = "") -> dict[str, str]:
    """Make an installation whose glyphs are all said to be an A, unless it is there; return its environment."""
    state = folder / f"{'postgres' if server else 'ours'}-{glyphs}"
    environment = os.environ | {
        "DRCAPTCHA_STATE": str(state),
        "DATABASE_URL": database(server, f"drcaptcha-{glyphs}") if server else "",
        "DRCAPTCHA_PROXIES": "1",
        "DRCAPTCHA_POOL": "0",
        "DRCAPTCHA_RATE": "0",
        "DRCAPTCHA_SITE_RATE": "0",
        "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
    }
    if not state.exists():
        try:
            run(f"serving.populate({glyphs})", environment)
        except BaseException:  # Half of it would be taken for the whole the next time.
            shutil.rmtree(state, ignore_errors=True)
            raise
    return environment


def populate(glyphs: int) -> None:
    """Fill this installation with glyphs that are all an A, many without a label, as far as controls remain."""
    from captchas import grow
    from django.core.management import call_command

    from drcaptcha.glyphs.models import Glyph
    from handwriting.formats import starter

    call_command("migrate", verbosity=0)
    call_command("collectstatic", verbosity=0, interactive=False)
    call_command("importemnist", starter.FOLDER, split="starter", verbosity=0)
    surplus = Glyph.objects.order_by("?").values_list("pk", flat=True)[glyphs:]
    Glyph.objects.filter(pk__in=list(surplus)).delete()
    call_command("removelabels", min(12_000, Glyph.objects.controls().count() - 500), verbosity=0)
    grow(glyphs)
    Glyph.objects.exclude(label="").update(label="A", given="A")
    Glyph.objects.update(truth="A")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where the peer and the installations are kept")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pool", type=int, default=10_000, help="captchas in the pool")
    parser.add_argument("--glyphs", type=int, nargs="*", default=[1_000, 100_000, 1_000_000])
    parser.add_argument("--database", default="", metavar="URL", help="a PostgreSQL server, instead of SQLite")
    parser.add_argument("--server", nargs="*", choices=SERVERS, help="compare these, from the pool")
    parser.add_argument("--soak", type=int, metavar="MINUTES", help="go on at half the most")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("Install wrk: apt-get install wrk")
    folder = options.folder.absolute()
    folder.mkdir(parents=True, exist_ok=True)
    for name, script in (("ours", OURS_LUA), ("redeem", REDEEM_LUA), ("peer", PEER_LUA)):
        (folder / f"{name}.lua").write_text(SUMMARY_LUA.partition("function done")[0] + script + SUMMARY_LUA)
    bench = Bench(folder, options.seconds, options.pool, options.database)
    if options.soak:
        bench.soak(options.glyphs[-1], options.soak)
        return
    print("| | cycles per core-second | beside the peer | cycles a second | p50, p99 of a request in ms | faults |")
    print("| --- | ---: | ---: | ---: | ---: | ---: |")
    bench.peer()
    for server in options.server or ():
        bench.compare(server, options.glyphs[0])
    if not options.server:
        for glyphs in options.glyphs:
            bench.measure(glyphs)


@dataclass
class Bench:
    """The runs of one call, with the peer's rate once it is known."""

    folder: Path
    seconds: float
    pool: int
    database: str
    base: float = float("nan")

    def peer(self) -> None:
        """Measure the peer."""
        python, environment = peer(self.folder, self.database)
        with serving(python, "peer_project:application", environment, self.folder) as server:
            server.load(self.folder / "peer.lua", 2)
            load = server.load(self.folder / "peer.lua", self.seconds)
        self.base = load.rate
        self.tell("django-simple-captcha", load)

    def measure(self, glyphs: int) -> None:
        """Measure ours with so many glyphs: from the pool, at 80 % of that, redeeming, and composed on the spot."""
        environment, script = ours(self.folder, glyphs, self.database), self.folder / "ours.lua"
        fill(self.pool, environment)
        with serving(Path(sys.executable), OURS, environment, Path(MANAGE).parent) as server:
            server.load(script, 1)
            peak = server.load(script, self.seconds)
            self.tell(f"ours, from the pool, {glyphs:,} glyphs", peak)
            few = server.load_at(0.8, peak, script, self.seconds)
            self.tell(f"the same at {few.requests / few.seconds * peak.seconds / peak.requests:.0%} of that", few)
            lines = self.folder / "responses"
            run(f"serving.earn({int(1500 * self.seconds)}, {str(lines)!r})", environment)
            self.tell("responses redeemed", server.load(self.folder / "redeem.lua", self.seconds, lines=lines))
        fill(0, environment)
        with serving(Path(sys.executable), OURS, environment, Path(MANAGE).parent) as server:
            server.load(script, 1)
            self.tell(f"ours, composed on the spot, {glyphs:,} glyphs", server.load(script, self.seconds))

    def compare(self, name: str, glyphs: int) -> None:
        """Measure ours from the pool under a server."""
        others = self.folder / "servers"
        if not others.exists():
            subprocess.run(
                [sys.executable, "-m", "pip", "install", "-q", "--target", others, "gunicorn", "waitress"], check=True
            )
        environment = ours(self.folder, glyphs, self.database) | {"PYTHONPATH": str(others)}
        fill(self.pool, environment)
        with serving(Path(sys.executable), OURS, environment, Path(MANAGE).parent, name) as server:
            server.load(self.folder / "ours.lua", 1)
            self.tell(f"ours, {name}", server.load(self.folder / "ours.lua", self.seconds))

    def soak(self, glyphs: int, minutes: int) -> None:
        """Let half as many visitors come as can, for so long; tell each minute."""
        environment, script = ours(self.folder, glyphs, self.database), self.folder / "ours.lua"
        fill(self.pool, environment)
        print("| minute | cycles a second | p50, p99 of a request in ms | faults | MiB |")
        print("| ---: | ---: | ---: | ---: | ---: |")
        with serving(Path(sys.executable), OURS, environment, Path(MANAGE).parent) as server:
            server.load(script, 1)
            peak = server.load(script, self.seconds)
            for minute in range(minutes):
                load = server.load_at(0.5, peak, script, 60)
                times = f"{load.p50:.0f}, {load.p99:.0f}"
                print(
                    f"| {minute + 1} | {load.cycles / 60:.0f} | {times} | {load.faults} | {server.memory():.0f} |",
                    flush=True,
                )

    def tell(self, name: str, load: Load) -> None:
        """Print a row."""
        each = f"{load.rate:.0f} | {load.rate / self.base:.2f} | {load.cycles / load.seconds:.0f}"
        print(f"| {name} | {each} | {load.p50:.0f}, {load.p99:.0f} | {load.faults} |", flush=True)


def run(program: str, environment: dict[str, str]) -> None:
    """Run a line of a program in an installation, which knows this file as ``serving``."""
    here = str(Path(__file__).parent)
    setup = f"import sys, django; sys.path.insert(0, {here!r}); django.setup(); import serving; "
    subprocess.run([sys.executable, "-c", setup + program], env=environment, check=True)


def earn(count: int, path: str) -> None:
    """Make so many responses that a new site can redeem, and write each as a body of the call."""
    from django.utils import timezone

    from drcaptcha.challenges.models import Attempt, Captcha
    from drcaptcha.challenges.tokens import Purpose, seal
    from drcaptcha.sites.registering import register

    now = timezone.now()
    site, secret = register(f"Earned {now}", ["localhost"], now=now)
    plain = {"picture": b"", "media_type": "image/jpeg", "width": 1, "height": 1, "content": [], "length": 0}
    captchas = Captcha.objects.bulk_create(Captcha(**plain, created=now) for _ in range(count))
    attempts = Attempt.objects.bulk_create(
        Attempt(captcha=captcha, site=site, passed=True, created=now) for captcha in captchas
    )
    bodies = (f"secret={secret}&response={seal(Purpose.RESPONSE, one.pk, site.pk, timezone.now())}" for one in attempts)
    Path(path).write_text("\n".join(bodies))


def fill(pool: int, environment: dict[str, str]) -> None:
    """Let the pool hold so many captchas."""
    run("from drcaptcha.challenges.models import NEVER, Captcha; Captcha.objects.update(available=NEVER)", environment)
    if pool:
        subprocess.run([sys.executable, MANAGE, "generatecaptchas", str(pool), "-v0"], env=environment, check=True)


if __name__ == "__main__":
    main()
