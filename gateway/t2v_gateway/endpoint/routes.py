"""The endpoint's addresses, all together."""

from fastapi import APIRouter

from t2v_gateway.endpoint import fetching, making, models, not_offered, system, uploads
from t2v_gateway.gateway import Gateway


def router(gateway: Gateway) -> APIRouter:
    """What the document describes, and its menu."""
    routes = APIRouter(tags=["The documented endpoint"])
    making.add(routes, gateway)
    fetching.add(routes, gateway)
    models.add(routes, gateway)
    uploads.add(routes, gateway)
    system.add(routes, gateway)
    not_offered.add(routes)
    return routes
