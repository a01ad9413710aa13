"""Connecting to the fleet's broker as its collector user: TLS by the fleet's own authority, errors in one line each."""

from __future__ import annotations

import ssl

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.reasoncodes import ReasonCode

from linewitness.errors import CannotDo
from linewitness.fleet import COLLECTOR, Fleet


def make_client(fleet: Fleet, name: str, *, keeps: bool) -> mqtt.Client:
    """Return a client that is not connected yet. name: of the session at the broker, one program's alone; keeps:
    whether the broker keeps what comes while the program is away, and waits for its own acknowledgements."""
    client = mqtt.Client(CallbackAPIVersion.VERSION2, name, clean_session=not keeps, manual_ack=keeps)
    client.username_pw_set(COLLECTOR, fleet.broker_password())
    client.reconnect_delay_set(1, 15)
    return client


def connect(client: mqtt.Client, fleet: Fleet, host: str, port: int) -> None:
    """Connect; paho's thread then runs until client.loop_stop(). Raises CannotDo."""
    where = f"{host}:{port}"
    hint = "is `linewitness broker` running? --broker HOST:PORT if it is elsewhere"
    try:
        client.tls_set(ca_certs=str(fleet.ca_pem), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        client.connect(host, port, keepalive=30)
    except FileNotFoundError as e:
        raise CannotDo("no certificate of the broker's authority", str(fleet.ca_pem), "linewitness init") from e
    except ssl.SSLCertVerificationError as e:
        hint = "the broker's own fleet folder, or its keys/ca.pem"
        raise CannotDo(f"the broker's certificate does not hold: {e.verify_message}", where, hint) from e
    except ssl.SSLError as e:
        raise CannotDo(f"no TLS with the broker: {e.reason or e}", where, hint) from e
    except OSError as e:
        raise CannotDo(f"broker unreachable: {(e.strerror or str(e)).lower()}", where, hint) from e
    client.loop_start()


def refusal(code: ReasonCode, where: str) -> CannotDo:
    """Return the CannotDo of a broker that does not let us in."""
    hint = "the passwords in secrets.toml are those the broker runs with? restart the broker"
    return CannotDo(f"the broker refuses user '{COLLECTOR}': {code}".lower(), where, hint)
