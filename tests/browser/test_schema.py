"""Whatever is sent to the public calls, the running server answers as its OpenAPI document says, without a fault."""

from contextlib import suppress

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import response_schema_conformance, status_code_conformance

OPERATIONS = [
    ("POST", "/api/v1/challenges"),
    ("POST", "/api/v1/answers"),
    ("POST", "/api/v1/predictions"),
    ("GET", "/api/get-captcha"),
    ("GET", "/api/test-captcha"),
    ("POST", "/recaptcha/api/siteverify"),
    ("POST", "/hcaptcha/siteverify"),
    ("POST", "/turnstile/v0/siteverify"),
]


@pytest.fixture(scope="module")
def schema(server: str) -> schemathesis.schemas.BaseSchema:
    return schemathesis.openapi.from_url(f"{server}/api/openapi.json")


def test_every_call_of_the_document_is_tried(schema: schemathesis.schemas.BaseSchema) -> None:
    documented = {(one.ok().method.upper(), one.ok().path) for one in schema.get_all_operations()}
    assert documented == set(OPERATIONS)


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
def test_a_call_answers_as_documented(method: str, path: str, schema: schemathesis.schemas.BaseSchema) -> None:
    operation = schema[path][method]

    @settings(
        max_examples=12,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def call(case: schemathesis.Case) -> None:
        checks = [not_a_server_error, status_code_conformance, response_schema_conformance]
        case.call_and_validate(checks=checks, timeout=20)

    for mode in schemathesis.GenerationMode:
        # A call that takes nothing can't be sent anything wrong.
        with suppress(Unsatisfiable):
            given(case=operation.as_strategy(generation_mode=mode))(call)()
