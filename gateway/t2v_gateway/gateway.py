"""The parts that every room of the gateway works with."""

from dataclasses import dataclass, field

from t2v_operator.config import OperatorConfig
from t2v_operator.delivery.stores import Store

from t2v_gateway.callers import Callers
from t2v_gateway.models import Models
from t2v_gateway.sent import Sent
from t2v_gateway.settings import GatewaySettings
from t2v_gateway.submitting import Submitter
from t2v_gateway.videos import Videos


@dataclass(frozen=True)
class Gateway:
    """One process's parts."""

    settings: GatewaySettings
    config: OperatorConfig
    videos: Videos
    models: Models
    callers: Callers
    submitter: Submitter
    store: Store | None
    """Where videos are; None where that is a volume in the users' namespaces."""
    sent: Sent = field(default_factory=Sent)
