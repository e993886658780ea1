"""Whole URLs, as clients reach them."""

from __future__ import annotations

from fastapi import Request

from flows.service.state import service_of


def base_url(request: Request) -> str:
    """Where the service is, without a slash at its end."""
    return service_of(request).settings.base_url or str(request.base_url).rstrip("/")
