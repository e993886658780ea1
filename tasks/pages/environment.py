"""Pages of HTML, from the templates in `tasks/pages/templates/`."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, select_autoescape


def page_environment() -> Environment:
    """Where templates are found, and everything that is not markup is escaped."""
    return Environment(
        loader=PackageLoader("tasks.pages"),
        autoescape=select_autoescape(),
        trim_blocks=True,
        lstrip_blocks=True,
    )
