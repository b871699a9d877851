"""The OpenAPI document, with the calls that lie outside the API's own address."""

from typing import Any

from django.urls import reverse
from ninja import NinjaAPI, Schema
from ninja.openapi.schema import OpenAPISchema
from ninja.types import DictStrAny

from drcaptcha.api import schemas
from drcaptcha.api.siteverify import DIALECTS, FORMS, JSON, Dialect

SHAPES: dict[str, tuple[type[Schema], type[Schema]]] = {
    "reCAPTCHA": (schemas.Siteverify, schemas.RecaptchaRedeemed),
    "hCaptcha": (schemas.HcaptchaSiteverify, schemas.HcaptchaRedeemed),
    "Turnstile": (schemas.TurnstileSiteverify, schemas.TurnstileRedeemed),
}
"""What each dialect takes and gives."""


class DocumentedAPI(NinjaAPI):
    """An API whose document also has the calls by which sites' servers redeem responses."""

    def get_openapi_schema(
        self, *, path_prefix: str | None = None, path_params: DictStrAny | None = None
    ) -> OpenAPISchema:
        """Return the document."""
        document = super().get_openapi_schema(path_prefix=path_prefix, path_params=path_params)
        document["paths"] |= {reverse(each.url_name): {"post": _operation(each)} for each in DIALECTS.values()}
        return document


def _operation(dialect: Dialect) -> dict[str, Any]:
    takes, gives = SHAPES[dialect.name]
    kinds = [*FORMS, JSON] if dialect.takes_json else FORMS
    return {
        "operationId": f"drcaptcha_api_siteverify_{dialect.url_name}",
        "tags": ["siteverify"],
        "summary": f"Siteverify, {dialect.name}",
        "description": f"Redeem the response of a visitor, as servers ask {dialect.name}. It is called by the site's "
        "server, never by a page.",
        "requestBody": {
            "required": True,
            "content": {kind: {"schema": takes.model_json_schema()} for kind in kinds},
        },
        "responses": {
            "200": {"description": "OK", "content": {JSON: {"schema": gives.model_json_schema(by_alias=True)}}},
            "405": {"description": "Method Not Allowed"},
            "411": {"description": "Length Required"},
            "413": {"description": "Content Too Large"},
            "503": {"description": "Service Unavailable"},
        },
    }
