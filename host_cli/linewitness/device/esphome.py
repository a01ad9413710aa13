"""Reading an ESPHome device at the branch (a smart plug, a UPS, a power monitor): was there power?

Its native API (https://api-docs.esphome.io, TCP 6053; with a key encrypted by Noise NNpsk0) is spoken by aioesphomeapi.
A reading is what the device said of its sensors within a few seconds, and from its uptime when it last started. It is
outside evidence: another maker's device, with its own clock and its own power. It is not signed by it, though, and who
holds it can make it say anything; the reading says so by being ours.

`mains` is whether the supply was there: by the entity named, else by a binary sensor of class power, plug or
battery_charging, else by a voltage of VOLTAGE_LEAST or more. None where nothing tells.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from linewitness.errors import CannotDo, Refused, UsageProblem

if TYPE_CHECKING:
    from aioesphomeapi import DeviceInfo, EntityInfo, EntityState
    from aioesphomeapi.client import APIClient

PORT = 6053
CONNECT_S = 10.0
VOLTAGE_LEAST = 80.0
SUPPLY_CLASSES = ("power", "plug", "battery_charging")


@dataclass(frozen=True, slots=True)
class Entity:
    """One sensor's state: a number, a truth value or text; None where the device has none."""

    name: str
    kind: str
    device_class: str
    unit: str
    state: float | bool | str | None


@dataclass(frozen=True, slots=True)
class Reading:
    """What a device said. mains: None where nothing tells; uptime_s: None without such a sensor."""

    name: str
    model: str
    version: str
    encrypted: bool
    mains: bool | None
    uptime_s: int | None
    entities: tuple[Entity, ...]


def read(host: str, port: int, key: str | None, seconds: float, mains: str | None = None) -> Reading:
    """Return what the device at host says within `seconds`. Raises CannotDo (no answer), Refused, UsageProblem.

    key: the Noise key in base64, as in the device's `api: encryption:`. mains: the object id of the entity to go by.
    """
    try:
        from aioesphomeapi import core
        from aioesphomeapi.client import APIClient
    except ImportError:
        raise CannotDo("aioesphomeapi is not installed", "power", "pip install 'linewitness[esphome]'") from None
    where = f"{host}:{port}"
    logging.getLogger("aioesphomeapi").setLevel(logging.CRITICAL)  # what it warns of is raised as well
    try:
        made = partial(APIClient, host, port, None, noise_psk=key)
        return asyncio.run(_read(made, key is not None, seconds, mains, where))
    except core.RequiresEncryptionAPIError:
        raise UsageProblem("the device wants encryption", where, "--key NAME of its key in secrets.toml") from None
    except (core.InvalidEncryptionKeyAPIError, core.EncryptionPlaintextAPIError) as e:
        raise Refused(f"the device does not take this key: {e}", where, "the key of its api: encryption:") from None
    except (core.APIConnectionError, TimeoutError, OSError) as e:
        raise CannotDo(f"the device does not answer: {_why(e)}", where, "its power, its network, its address") from None


def _why(error: BaseException) -> str:
    """Return the system's word where there is one: the library's own is a list of all that it tried."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno:
            return os.strerror(cause.errno).lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or "no answer in time"


async def _read(
    connect: Callable[[], APIClient], encrypted: bool, seconds: float, mains: str | None, where: str
) -> Reading:
    client = connect()  # it wants a running loop
    async with asyncio.timeout(CONNECT_S + seconds):
        await client.connect(login=False)
        try:
            device, infos, _ = await client.device_info_and_list_entities()
            states: dict[int, EntityState] = {}
            client.subscribe_states(lambda state: states.update({state.key: state}))
            end_s = asyncio.get_running_loop().time() + seconds
            while len(states) < len(infos) and asyncio.get_running_loop().time() < end_s:
                await asyncio.sleep(0.05)
        finally:
            await client.disconnect()
    return _reading(device, infos, states, encrypted, mains, where)


def _reading(
    device: DeviceInfo, infos: list[EntityInfo], states: dict[int, EntityState], encrypted: bool, mains: str | None,
    where: str,
) -> Reading:  # fmt: skip
    entities = {info.object_id: _entity(info, states.get(info.key)) for info in infos}
    if mains is not None and mains not in entities:
        raise UsageProblem(f"the device has no entity '{mains}'", where, "one of " + ", ".join(sorted(entities)))
    known = [entity for entity in entities.values() if entity is not None]
    uptime = next((e for e in known if "uptime" in e.name.lower() and e.unit == "s"), None)
    supply = _truth(entities[mains]) if mains is not None else _supply(known)
    return Reading(
        device.name,
        device.model,
        device.esphome_version,
        encrypted,
        supply,
        int(uptime.state) if uptime is not None and isinstance(uptime.state, float) else None,
        tuple(known),
    )


def _entity(info: EntityInfo, state: EntityState | None) -> Entity:
    value: Any = getattr(state, "state", None)
    if state is None or getattr(state, "missing_state", False) or value != value:
        value = None
    kind = type(info).__name__.removesuffix("Info").lower()
    unit = getattr(info, "unit_of_measurement", "")
    return Entity(info.name, kind, getattr(info, "device_class", ""), unit, value)


def _supply(entities: list[Entity]) -> bool | None:
    for entity in entities:
        if entity.kind == "binarysensor" and entity.device_class in SUPPLY_CLASSES and entity.state is not None:
            return bool(entity.state)
    for entity in entities:
        if entity.device_class == "voltage" and entity.unit == "V":
            return _truth(entity)
    return None


def _truth(entity: Entity) -> bool | None:
    """Return whether an entity says that there is power; None where it says nothing."""
    if entity.state is None or isinstance(entity.state, str):
        return None
    if entity.device_class == "voltage":
        return float(entity.state) >= VOLTAGE_LEAST
    return bool(entity.state)
