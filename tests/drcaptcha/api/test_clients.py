"""Clients that were written for reCAPTCHA, hCaptcha and Turnstile, with another address and nothing else changed.

Each runs in a process of its own, as a site of its own would, and calls a live server over TLS.
"""

import json
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from threading import Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.servers.basehttp import ThreadedWSGIServer, WSGIRequestHandler
from django.utils import timezone

from drcaptcha.wsgi import application
from tests.registered import Create, Keys, PassOn

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.clients]

FORM = """
import json, sys
from django.conf import settings

asked = json.loads(sys.argv[1])
settings.configure(**asked["settings"])

import django
django.setup()
from django import forms
from {module} import {field}
{more}

class Form(forms.Form):
    captcha = {field}({options})

forms = [Form({{asked["input"]: response}}) for response in asked["responses"]]
print(json.dumps([form.is_valid() for form in forms]))
"""


@dataclass(frozen=True)
class Service:
    """A client: where its field is, what its page sends, and the settings in which its address and keys stand."""

    module: str
    field: str
    sent_as: str
    address: tuple[str, str]
    sitekey: str
    secret: str
    options: str = ""
    more: str = ""

    def check(self, host: str, keys: Keys, *responses: str) -> list[bool]:
        """Return which forms with these responses the client finds valid."""
        name, address = self.address
        settings = {name: address.format(host), self.sitekey: keys.sitekey, self.secret: keys.secret}
        asked = {"settings": settings, "input": self.sent_as, "responses": responses}
        program = FORM.format(module=self.module, field=self.field, options=self.options, more=self.more)
        command = [sys.executable, "-c", program, json.dumps(asked)]
        return list(json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout))


RECAPTCHA = Service(
    "django_recaptcha.fields",
    "ReCaptchaField",
    "g-recaptcha-response",
    ("RECAPTCHA_DOMAIN", "{}"),
    "RECAPTCHA_PUBLIC_KEY",
    "RECAPTCHA_PRIVATE_KEY",
)
RECAPTCHA_ACTION = Service(
    "django_recaptcha.fields",
    "ReCaptchaField",
    "captcha",
    ("RECAPTCHA_DOMAIN", "{}"),
    "RECAPTCHA_PUBLIC_KEY",
    "RECAPTCHA_PRIVATE_KEY",
    options='widget=ReCaptchaV3(action="signup")',
    more="from django_recaptcha.widgets import ReCaptchaV3",
)
HCAPTCHA = Service(
    "hcaptcha.fields",
    "hCaptchaField",
    "h-captcha-response",
    ("HCAPTCHA_VERIFY_URL", "https://{}/hcaptcha/siteverify"),
    "HCAPTCHA_SITEKEY",
    "HCAPTCHA_SECRET",
)
TURNSTILE = Service(
    "turnstile.fields",
    "TurnstileField",
    "cf-turnstile-response",
    ("TURNSTILE_VERIFY_URL", "https://{}/turnstile/v0/siteverify"),
    "TURNSTILE_SITEKEY",
    "TURNSTILE_SECRET",
)


def installed(service: Service) -> object:
    """Return a client as a parameter of a test, which is skipped where it is not installed."""
    package = service.module.partition(".")[0]
    absent = pytest.mark.skipif(find_spec(package) is None, reason=f"{package} is not installed")
    return pytest.param(service, id=service.field, marks=absent)


every_client = pytest.mark.parametrize("service", [installed(each) for each in (RECAPTCHA, HCAPTCHA, TURNSTILE)])


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The host and port of a live server, whose certificate the clients trust."""
    certificate = write_certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with ThreadedWSGIServer(("127.0.0.1", 0), Quiet) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.set_app(application)
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"localhost:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(WSGIRequestHandler):
    """A handler that writes no log."""

    def log_message(self, *args: object) -> None: ...


def write_certificate(folder: Path) -> Path:
    """Write a key and a certificate that it has signed itself for this machine."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    now = timezone.now()
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    secret = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "localhost.pem"
    path.write_bytes(secret + certificate.public_bytes(encoding))
    return path


@every_client
def test_a_client_finds_a_pass_valid_once(host: str, service: Service, library: Keys, pass_on: PassOn) -> None:
    first, second = pass_on(library), pass_on(library)
    assert service.check(host, library, first, first, second, "made up") == [True, False, True, False]


@every_client
def test_a_client_finds_no_pass_of_another_site_valid(
    host: str, service: Service, library: Keys, create_site: Create, pass_on: PassOn
) -> None:
    museum, response = create_site("Museum", "museum.example"), pass_on(library)
    assert service.check(host, museum, response) == [False]
    assert service.check(host, museum._replace(secret="made up"), response) == [False]
    assert service.check(host, library, response) == [True]


@pytest.mark.parametrize("service", [installed(RECAPTCHA_ACTION)])
def test_a_client_that_expects_an_action_gets_it(host: str, service: Service, library: Keys, pass_on: PassOn) -> None:
    signup, login = pass_on(library, action="signup"), pass_on(library, action="login")
    assert service.check(host, library, signup, login) == [True, False]


@every_client
def test_a_client_with_a_test_key(host: str, service: Service) -> None:
    for secret, valid in (("passes", True), ("fails", False), ("used", False)):
        keys = Keys(f"test-{secret}", f"test-secret-{secret}")
        assert service.check(host, keys, "test-response") == [valid]
