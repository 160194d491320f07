"""The OpenAPI document as a page to read, at /docs: one file, no script, nothing from elsewhere."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 0.875rem/1.5 ui-monospace, monospace; }
details { border-top: 1px solid #8886; padding: 0.5rem 0; }
summary { cursor: pointer; }
table { border-collapse: collapse; margin: 0.5rem 0; }
td, th { text-align: left; vertical-align: top; padding: 0.25rem 1rem 0.25rem 0; }
"""
_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; frame-ancestors 'none'"
)


def add_docs(app: FastAPI) -> None:
    """Serve it."""

    @app.get("/docs", include_in_schema=False)
    async def docs(_: Request) -> HTMLResponse:
        return HTMLResponse(page(app.openapi()), headers={"Content-Security-Policy": POLICY})


def page(document: dict[str, Any]) -> str:
    """The document as HTML."""
    title = escape(document["info"]["title"])
    operations = "\n".join(
        _operation(path, method, operation, document["components"]["schemas"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><main><h1>{title}</h1>"
        '<p>For programs: <a href="openapi.json">openapi.json</a>.</p>'
        f"{operations}</main></body></html>"
    )


def _operation(path: str, method: str, operation: dict[str, Any], schemas: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = next((each["schema"] for each in content.values()), {})
    schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
    told = escape(operation.get("description") or operation.get("summary", ""))
    fields = "".join(_fields(schema))
    body = f"<h3>Body</h3><table><tbody>{fields}</tbody></table>" if fields else ""
    statuses = "".join(
        f"<tr><th scope=row>{escape(status)}</th><td>{escape(answer['description'])}</td></tr>"
        for status, answer in sorted(operation["responses"].items())
    )
    return (
        f"<details><summary><code>{method.upper()} {escape(path)}</code></summary><p>{told}</p>"
        f"{body}<h3>Answers</h3><table><tbody>{statuses}</tbody></table></details>"
    )


def _fields(schema: dict[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, field in schema.get("properties", {}).items():
        need = " (required)" if name in required else ""
        told = escape(field.get("description", ""))
        yield (
            f"<tr><th scope=row><code>{escape(name)}</code>{need}</th><td>{told}"
            f"<br><code>{escape(_kind(field))}</code></td></tr>"
        )


def _kind(field: dict[str, Any]) -> str:
    """What is taken, in short."""
    kinds = field.get("anyOf", [field])
    shown = (each for each in kinds if each.get("type") != "null")
    return " or ".join(_one_kind(each) for each in shown)


def _one_kind(kind: dict[str, Any]) -> str:
    if "enum" in kind:
        return ", ".join(json.dumps(each) for each in kind["enum"])
    limits = [
        f"{word} {kind[name]:g}"
        for name, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("multipleOf", "multiple of"),
            ("maxLength", "up to"),
        )
        if name in kind
    ]
    return " ".join((kind.get("type", "any"), *limits))
