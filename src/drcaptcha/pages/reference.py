"""The API's own OpenAPI document, laid out for people."""

import inspect
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from drcaptcha.errors import DrCaptchaError, NotPossible

Schema = Mapping[str, Any]

JSON = "application/json"
FORM = "multipart/form-data"
PLAIN_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Field:
    """One value that a call takes or gives."""

    name: str
    kind: str
    required: bool
    description: str
    example: Any


@dataclass(frozen=True)
class Endpoint:
    """One call, with what it takes, a line that makes it, and what it gives."""

    verb: str
    path: str
    description: str
    takes: list[Field]
    curl: str
    gives: list[Field]
    answer: str
    failures: list[str]

    @property
    def anchor(self) -> str:
        """The name of its place in the page."""
        return f"{self.verb}{self.path}".lower().replace("/", "-")


@dataclass(frozen=True)
class ErrorCode:
    """A code that an error may carry."""

    code: str
    status: HTTPStatus
    meaning: str


def groups(document: Schema, origin: str) -> dict[str, list[Endpoint]]:
    """Return the document's endpoints by their first tag; ``origin`` starts the addresses of the examples."""
    found: dict[str, list[Endpoint]] = {}
    for path, operations in document["paths"].items():
        for verb, operation in operations.items():
            endpoint = _endpoint(document, verb.upper(), path, operation, origin)
            found.setdefault(operation.get("tags", [""])[0], []).append(endpoint)
    return found


def error_codes() -> list[ErrorCode]:
    """Return every code that an error of the API may carry, by status."""
    kinds = [
        kind for kind in _descendants(DrCaptchaError) if kind is not NotPossible
    ]  # That one is an administrator's.
    codes = [ErrorCode(kind.code, kind.status, inspect.getdoc(kind) or kind.message) for kind in kinds]
    return sorted(codes, key=lambda error: (error.status, error.code))


def _descendants(kind: type[DrCaptchaError]) -> Iterator[type[DrCaptchaError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _descendants(child)


def _endpoint(document: Schema, verb: str, path: str, operation: Schema, origin: str) -> Endpoint:
    bodies = operation.get("requestBody", {}).get("content", {})
    takes = [_field(document, each["name"], each["schema"], each) for each in operation.get("parameters", [])]
    body = bodies.get(JSON) or bodies.get(PLAIN_FORM) or {}
    takes += _fields(document, body.get("schema", {}))
    responses = {HTTPStatus(int(status)): response for status, response in operation["responses"].items()}
    success = responses[HTTPStatus.OK]
    gives = _fields(document, success.get("content", {}).get(JSON, {}).get("schema", {}))
    return Endpoint(
        verb=verb,
        path=path,
        description=operation.get("description", operation.get("summary", "")),
        takes=takes,
        curl=_curl(verb, origin + path, takes, set(bodies)),
        gives=gives,
        answer=json.dumps({field.name: field.example for field in gives}, indent=2, ensure_ascii=False),
        failures=[f"{status.value} {status.phrase}" for status in responses if status != HTTPStatus.OK],
    )


def _curl(verb: str, address: str, takes: list[Field], bodies: set[str]) -> str:
    """Return a command line that makes the call; a picture goes as a file, which is how a person has it."""
    if verb == "GET":
        query = urlencode({field.name: field.example for field in takes})
        return f"curl {shlex.quote(f'{address}?{query}')}" if query else f"curl {address}"
    if PLAIN_FORM in bodies:
        return f"curl {address}" + "".join(
            f" \\\n  -d {field.name}={shlex.quote(str(field.example))}" for field in takes if field.required
        )
    if FORM in bodies:
        return f"curl {address} -F image=@letter.png"
    body = json.dumps({field.name: field.example for field in takes if field.required}, ensure_ascii=False)
    return f"curl {address} -H 'Content-Type: {JSON}' \\\n  -d {shlex.quote(body)}"


def _fields(document: Schema, schema: Schema) -> list[Field]:
    schema = _resolve(document, schema)
    required = schema.get("required", [])
    return [
        _field(document, name, each, {"required": name in required})
        for name, each in schema.get("properties", {}).items()
    ]


def _field(document: Schema, name: str, schema: Schema, more: Schema) -> Field:
    return Field(
        name=name,
        kind=_kind(document, schema),
        required=bool(more.get("required")),
        description=schema.get("description") or more.get("description", ""),
        example=_example(document, schema),
    )


def _resolve(document: Schema, schema: Schema) -> Schema:
    """Follow a reference, and of alternatives take the first, which stands before null."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return _resolve(document, document["components"]["schemas"][name])
    if "anyOf" in schema:
        return _resolve(document, schema["anyOf"][0])
    return schema


def _kind(document: Schema, schema: Schema) -> str:
    if any(each.get("type") == "null" for each in schema.get("anyOf", ())):
        return f"{_kind(document, schema['anyOf'][0])} or null"
    schema = _resolve(document, schema)
    if schema.get("type") == "array":
        return f"list of {_kind(document, schema['items'])}s"
    return str(schema.get("type", "value"))


def _example(document: Schema, schema: Schema) -> Any:
    """Return the schema's own example, or one made of its parts'."""
    if "examples" in schema:
        return schema["examples"][0]
    schema = _resolve(document, schema)
    if "examples" in schema:
        return schema["examples"][0]
    if schema.get("type") == "object":
        return {name: _example(document, each) for name, each in schema.get("properties", {}).items()}
    if schema.get("type") == "array":
        return [_example(document, schema["items"])]
    return {"string": "...", "integer": 1, "number": 0.5, "boolean": True}.get(str(schema.get("type")))
