"""Pages out of templates, with the headers that let them load nothing from elsewhere."""

from __future__ import annotations

from typing import Any, Final

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, select_autoescape

from flows.service.asking import key_of
from flows.service.state import service_of
from rescaling_core import __version__

_POLICY: Final = (
    "default-src 'none'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_PAGES: Final = Environment(
    loader=PackageLoader("flows.service"),
    autoescape=select_autoescape(),
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(request: Request, template: str, **values: Any) -> HTMLResponse:
    """A page for those who made a request: it names the archives that their key opens.

    Args:
        request: What was asked.
        template: Name of a file in `templates`.
        values: What it shows.
    """
    service, key = service_of(request), key_of(request)
    names = [name for name in service.archives if service.keys.may_read(key, name)]
    text = _PAGES.get_template(template).render(
        archives=names, version=__version__, tries=service.tries, **values
    )
    headers = {
        "Content-Security-Policy": _POLICY,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-cache",
    }
    return HTMLResponse(text, headers=headers)
