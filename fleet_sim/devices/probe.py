"""Whether the broker answers."""

from fleet_sim.devices.endpoint import CannotReach, Endpoint
from fleet_wire.errors import ConnectionLost
from fleet_wire.session import Session

__all__ = ["probe"]


async def probe(endpoint: Endpoint, client_id: str) -> None:
    """Connect once as a throwaway client, so that an absent broker gives one clear error.

    Raises:
        CannotReach: there is no connection.
        ConnectRefused: the broker refuses this user name and password.
    """
    session = Session(endpoint.of_client(client_id), on_publish=lambda _epoch, _packets: None)
    try:
        await session.connect()
    except ConnectionLost as problem:
        why = str(problem).removeprefix(f"cannot reach {endpoint.url}: ")
        why = why.replace(f"{endpoint.url} did", "it did")
        raise CannotReach(
            f"no broker at {endpoint.url}: {why}; "
            "start one, e.g. `edge-gateway run --embedded` or `mosquitto`, or say where it is with -H HOST -p PORT"
        ) from None
    await session.disconnect()
