"""A real test call (SIP over UDP, RTP with G.711): whether calls are set up, how fast, and whether both sides hear.

The plan says whom it calls (OPTION_EXTENSION) in which domain (OPTION_NAME, else the host), with whose account
(OPTION_SECRET: "user:password" in the configuration), whether to REGISTER first, and whether the extension echoes.
target.timeout_ms is the time allowed from the first request to the answer; then the call is cancelled. It talks for
OPTION_SECONDS under `quiet`, as a call-quality window does, and hangs up.

The reading says what became of it (record.CALL), the SIP status of a refusal in CODES, how long it took, what came in
and what RTCP says of what went out; where the extension echoes, the statistics of a window over our packets, too.
A far end that refuses (403, 429, 503, any Retry-After) is left alone as sip_message.hold_s has it.
"""

from linewitness_wire import codes, plan, record

from . import call_media, sdp, sip_dialog
from .base import SingleShot
from .sip_digest import Credentials
from .sip_message import PORT, agent_of, hold_s
from .window import Window

ECHO_US = 1_000_000  # loss threshold of an echo
PACKETS_A_SECOND = 50
BUFFER_MS = 60


class Call(SingleShot):
    """Test calls, one at a time; `control` and `media` are bound Datagrams. secrets: {name: "user:password"}."""

    def __init__(self, control, media, quiet, clock, urandom, contact: str, secrets: dict[str, str]) -> None:
        super().__init__()
        self._control = control
        self._media = media
        self._quiet = quiet
        self._clock = clock
        self._urandom = urandom
        self._agent = agent_of(contact)
        self._secrets = secrets
        self._past_ssrc: "int | None" = None  # of the far end of the call before, whose last packets may come yet

    async def run(self, target: plan.Target, address: str) -> dict:
        """Make one call by way of the server at address; return its reading."""
        options = target.options
        peer = self._control.endpoint(address, target.port or PORT)
        secret = self._secrets.get(options.get(plan.OPTION_SECRET, ""))
        credentials = Credentials(secret, self._urandom) if secret is not None else None
        user = credentials.user if credentials is not None else "linewitness"
        domain = options.get(plan.OPTION_NAME) or target.host
        caller = sip_dialog.Caller(
            self._control, self._clock, self._urandom, peer, domain, user, credentials, self._agent
        )
        start_us = self._clock.now_us()
        reading: dict = {record.START_US: start_us}
        try:
            reading[record.CALL] = await self._call(target, caller, reading)
        finally:
            caller.close()
        reading[record.SPAN_US] = self._clock.now_us() - start_us
        if caller.malformed and record.SENT in reading:
            reading[record.MALFORMED] = min(record.U16, reading.get(record.MALFORMED, 0) + caller.malformed)
        if caller.mapped is not None:
            reading[record.MAPPED] = caller.mapped
        return reading

    async def _call(self, target: plan.Target, caller, reading: dict) -> int:
        """Register, call, talk and hang up; return codes.CALL_*."""
        options = target.options
        start_us = self._clock.now_us()
        until_us = start_us + target.timeout_ms * 1000
        if options.get(plan.OPTION_REGISTER):
            transaction = await caller.register(until_us)
            outcome = self._outcome(target, caller, transaction, reading, codes.CALL_NOT_REGISTERED)
            if outcome != codes.CALL_DONE:
                return codes.CALL_NOT_REGISTERED if outcome == codes.CALL_SILENT else outcome
            reading[record.REGISTER_US] = transaction.final_us - start_us
        invited_us = self._clock.now_us()
        ours = self._control.link.address() or "0.0.0.0"
        description = sdp.offer(ours, self._media.port, invited_us & 0x7FFFFFFF)
        transaction = await caller.invite(options[plan.OPTION_EXTENSION], description, until_us)
        first_us = transaction.ringing_us
        answered = transaction.final is not None and transaction.final.status < 300
        if first_us is None and answered:
            first_us = transaction.final_us
        if first_us is not None:
            reading[record.POST_DIAL_US] = first_us - invited_us
        outcome = self._outcome(target, caller, transaction, reading, codes.CALL_REFUSED)
        if outcome != codes.CALL_DONE:
            return outcome
        reading[record.ANSWER_US] = transaction.final_us - invited_us
        try:
            answer = sdp.decode_answer(transaction.final.body)
        except ValueError:
            await caller.bye()
            return codes.CALL_BAD_ANSWER
        outcome = await self._talk(options, caller, answer, reading)
        if not caller.hung_up:
            await caller.bye()
        return outcome

    def _outcome(self, target: plan.Target, caller, transaction, reading: dict, refused: int) -> int:
        """Return CALL_DONE for a 2xx, else how it failed; its status goes into the reading."""
        final = transaction.final
        if transaction.refused:
            reading[record.CODES] = [[-transaction.refused, 1]]
            return codes.CALL_NOT_SENT
        if final is None or (final.status == 487 and refused == codes.CALL_REFUSED):
            return codes.CALL_SILENT if transaction.provisional_us is None else codes.CALL_RINGING
        if final.status < 300:
            return codes.CALL_DONE
        reading[record.CODES] = [[final.status, 1]]
        wait_s = hold_s(final)
        if wait_s:
            self.hold(target, self._clock.now_us() + wait_s * 1_000_000)
        return codes.CALL_NOT_AUTHENTICATED if caller.refused_us else refused

    async def _talk(self, options: dict, caller, answer, reading: dict) -> int:
        """Talk, and put what was heard into the reading; return codes.CALL_*."""
        packets = PACKETS_A_SECOND * options.get(plan.OPTION_SECONDS, plan.CALL_SECONDS_LEAST)
        window = Window(packets, call_media.INTERVAL_US, ECHO_US, False)
        peers = (
            self._media.endpoint(answer.address, answer.port),
            self._media.endpoint(answer.address, answer.rtcp_port),
        )
        media = call_media.Media(self._media, self._clock, self._urandom, peers, window, caller, answer.payload_type)
        media.past_ssrc = self._past_ssrc
        echo = options.get(plan.OPTION_ECHO)
        async with self._quiet:
            start_us, span_us = await media.talk(packets, ECHO_US if echo else 0)
        incoming = media.incoming
        if incoming is not None:
            self._past_ssrc = incoming.ssrc
            reading[record.MEDIA_IN] = [incoming.expected, incoming.received, incoming.jitter_us]
        if media.report is not None:
            lost = max(0, media.report.lost)
            reading[record.MEDIA_OUT] = [media.sent_as_reported, lost, min(record.U32, media.report.jitter * 125)]
        if media.rtcp_rtt_us is not None:
            reading[record.RTCP_RTT_US] = media.rtcp_rtt_us
        if echo:
            buffer_us = options.get(plan.OPTION_BUFFER_MS, BUFFER_MS) * 1000
            heard = window.reading(start_us, span_us, options.get(plan.OPTION_CODEC, codes.CODEC_G711), buffer_us)
            heard.pop(record.START_US)
            reading.update(heard)
        if caller.hung_up:
            return codes.CALL_CUT
        if incoming is None:
            return codes.CALL_NO_MEDIA
        return codes.CALL_NO_ECHO if echo and not media.echoed else codes.CALL_DONE
