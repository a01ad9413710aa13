"""SIP OPTIONS over UDP (RFC 3261 11): single shots, one branch each, never sent twice.

Any final response of a live SIP stack, also 401, 404 or 603, is FATE_ANSWERED with its status as the code (none for
200); 408, 500, 502, 503 and 504 are FATE_WRONG. A provisional response is waited past. A server that asks to be left
alone (Retry-After; 403 or 429 without it for HOLD_S) is: see `retry_at_us`.
"""

from linewitness_wire import codes, plan, record
from witness.sample import Sample

from . import sip_message
from .base import SingleShot

PORT = 5060
HOLD_S = 60
HOLD_MAX_S = 3600
HELD_STATUSES = (403, 429)


class Sip(SingleShot):
    """SIP OPTIONS through `control`; contact says in the User-Agent who runs this witness."""

    def __init__(self, control, clock, urandom, contact: str) -> None:
        super().__init__()
        self._control = control
        self._clock = clock
        self._urandom = urandom
        self._agent = "linewitness/1 (" + contact + ")"
        self._call_id = urandom(8).hex()
        self._tag = urandom(4).hex()
        self._cseq = 0

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Send one OPTIONS; return its Sample."""
        self._cseq = self._cseq % 0x7FFFFFFF + 1
        branch = self._urandom(8).hex()
        domain = target.options.get(plan.OPTION_NAME) or target.host
        ours = self._control.link.address() or "0.0.0.0"
        request = sip_message.encode_options(
            domain, ours, branch, self._tag, self._call_id, self._cseq, self._agent,
        )  # fmt: skip
        head = (sip_message.MAGIC_COOKIE + branch).encode()

        def judge(octets: bytes) -> tuple | None:
            if head not in octets:
                return None
            return self._judge(target, octets, branch)

        peer = self._control.endpoint(address, target.port or PORT)
        return await self._control.ask(request, peer, judge, target.timeout_ms * 1000)

    def _judge(self, target: plan.Target, octets: bytes, branch: str) -> tuple | None:
        try:
            response = sip_message.decode_response(octets)
        except sip_message.Malformed:
            self.count(target, record.MALFORMED)
            return ()
        if response.branch != branch or response.method != sip_message.METHOD:
            return None
        if response.status < 200:
            return ()
        self._heed(target, response)
        if sip_message.is_failure(response.status):
            return codes.FATE_WRONG, response.status
        return codes.FATE_ANSWERED, None if response.status == 200 else response.status

    def _heed(self, target: plan.Target, response: sip_message.Response) -> None:
        wait_s = response.retry_after_s
        if wait_s is None and response.status in HELD_STATUSES:
            wait_s = HOLD_S
        if wait_s:
            self.hold(target, self._clock.now_us() + min(wait_s, HOLD_MAX_S) * 1_000_000)
