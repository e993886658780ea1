"""Requests drawn from the OpenAPI by schemathesis, sound and unsound: none is a 5xx."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error

from flows.service.access import Keys
from flows.service.app import create_app
from flows.service.settings import ServeSettings
from tests.every_rescaler import EveryRescaler
from tests.service.test_renditions import Listed


@pytest.fixture(scope="module")
def openapi(every_rescaler: EveryRescaler, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of a service whose jobs are taken, and never begin."""
    limits = ServeSettings(
        destinations=str(tmp_path_factory.mktemp("schema") / "out"),
        hosts="testserver",  # as the client calls it
        max_pixels=1_000_000,
    )
    app = create_app({"archive": every_rescaler.url}, limits, Keys((), anonymous=True))
    app.state.service.jobs.close()  # what is closed begins nothing, and still keeps a record
    return schemathesis.openapi.from_asgi("/openapi.json", app)


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_that_the_schema_allows_or_forbids_is_a_5xx(
    openapi: Any, mode: GenerationMode, listed: Listed
) -> None:
    known = [one["id"] for one in listed.values()]
    asked = set()
    for found in openapi.get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
        @given(
            case=operation.as_strategy(generation_mode=mode),
            id=st.none() | st.sampled_from(known),
            archive=st.none() | st.just("archive"),
        )
        def is_answered(case: Any, id: str | None, archive: str | None) -> None:
            # Drawn names are of nothing, where the interesting faults are not.
            for name, value in (("id", id), ("archive", archive)):
                if value is not None and name in (case.path_parameters or {}):
                    case.path_parameters[name] = value
            case.call_and_validate(checks=[not_a_server_error])

        try:
            is_answered()
        except Unsatisfiable:  # nothing of it could be wrong
            assert mode.is_negative
            continue
        asked.add(operation.label)
    assert {"POST /v1/restorations", "GET /v1/renditions", "GET /v1/renditions/{id}/hr"} <= asked
