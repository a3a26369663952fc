"""What holds for the routes of every service."""

from collections.abc import Iterable, Iterator
from typing import Any

import pytest
from fastapi.routing import APIRoute

from cairn.common.command import documentation
from cairn.common.strict_route import StrictRoute
from tests.docs.test_documents import APPS

pytestmark = pytest.mark.unit


def flat(routes: Iterable[Any]) -> Iterator[APIRoute]:
    for route in routes:
        if isinstance(route, APIRoute):
            yield route
        elif (router := getattr(route, "original_router", None)) is not None:
            yield from flat(router.routes)


@pytest.mark.parametrize("service", APPS)
def test_every_route_that_takes_a_body_reads_json_strictly(service: str) -> None:
    """Those that read the body themselves use the strict parser of the library."""
    app, settings = APPS[service]
    routes = list(flat(app(documentation(settings)).routes))
    assert len(routes) > 5
    taking = [route for route in routes if route.body_field is not None]
    assert [route.path for route in taking if not isinstance(route, StrictRoute)] == []
