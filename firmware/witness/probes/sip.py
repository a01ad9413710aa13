"""SIP OPTIONS over UDP (RFC 3261 11): single shots, one branch each, never sent twice.

Any final response of a live SIP stack, also 401, 404 or 603, is FATE_ANSWERED with its status as the code (none for
200); 408, 500, 502, 503 and 504 are FATE_WRONG. A provisional response is waited past. A server that asks to be left
alone (Retry-After; without it 403 and 429 for a minute, 503 for ten seconds) is: see `retry_at_us`.

With OPTION_SECRET ("user:password" in the configuration) a 401 or 407 is answered once, in a second request, which then
is the sample; later requests carry the answer at once. Credentials that are refused are FATE_WRONG.
"""

from linewitness_wire import codes, plan, record
from witness.malformed import Malformed
from witness.sample import Sample

from . import sip_message
from .base import SingleShot, place_octets
from .sip_digest import CHALLENGES, Credentials

METHOD = "OPTIONS"


class Options(SingleShot):
    """What OPTIONS requests have in common over every transport: `once` sends one, which is the subclass's work."""

    transport = "UDP"

    def __init__(self, clock, link, urandom, contact: str, secrets: dict[str, str]) -> None:
        super().__init__()
        self._clock = clock
        self._link = link
        self._urandom = urandom
        self._agent = sip_message.agent_of(contact)
        self._secrets = secrets
        self._accounts: dict[str, Credentials] = {}
        self._call_id = urandom(8).hex()
        self._tag = urandom(4).hex()
        self._cseq = 0
        self._heard: sip_message.Message | None = None

    def once(self, target: plan.Target, address: str, request: bytes, branch: str):
        """Send one request: return what to await for its Sample; `judge` is told the response."""
        raise NotImplementedError

    async def run(self, target: plan.Target, address: str) -> Sample:
        """Send one OPTIONS, a second one with credentials where they are asked for; return the Sample."""
        self.note(target, record.PEER, place_octets(address, self.port_of(target)))
        account = self._account(target)
        sample = await self._ask(target, address, account)
        if account is None or sample.fate != codes.FATE_ANSWERED or sample.code not in CHALLENGES:
            return sample
        response, self._heard = self._heard, None
        if response is None or not account.take(response):
            return Sample(codes.FATE_WRONG, sample.sent_us, sample.rtt_us, sample.code)
        sample = await self._ask(target, address, account)
        if sample.fate == codes.FATE_ANSWERED and sample.code in CHALLENGES:
            return Sample(codes.FATE_WRONG, sample.sent_us, sample.rtt_us, sample.code)
        return sample

    def port_of(self, target: plan.Target) -> int:
        """Return the port that a target means."""
        return target.port or (sip_message.TLS_PORT if self.transport == "TLS" else sip_message.PORT)

    def _ask(self, target: plan.Target, address: str, account):
        branch = self._urandom(8).hex()
        return self.once(target, address, self._request(target, branch, account), branch)

    def _account(self, target: plan.Target):
        name = target.options.get(plan.OPTION_SECRET)
        if name not in self._secrets:
            return None
        # An account's challenges are those of one server.
        key = name + " " + target.name
        if key not in self._accounts:
            self._accounts[key] = Credentials(self._secrets[name], self._urandom)
        return self._accounts[key]

    def _request(self, target: plan.Target, branch: str, account) -> bytes:
        self._cseq = self._cseq % 0x7FFFFFFF + 1
        domain = target.options.get(plan.OPTION_NAME) or target.host
        user = account.user if account is not None else "linewitness"
        ours = self._link.address() or "0.0.0.0"
        uri = "sip:" + domain
        headers = sip_message.request_headers(self.transport, ours, branch, self._call_id, self._cseq, METHOD)
        headers.append(("From", "<sip:" + user + "@" + domain + ">;tag=" + self._tag))
        headers.append(("To", "<" + uri + ">"))
        if account is not None:
            headers.extend(account.headers(METHOD, uri))
        headers.append(("Contact", "<sip:" + user + "@" + ours + ">"))
        headers.append(("Accept", "application/sdp"))
        headers.append(("User-Agent", self._agent))
        return sip_message.encode(METHOD + " " + uri + " SIP/2.0", headers)

    def judge(self, target: plan.Target, octets: bytes, branch: str) -> tuple | None:
        """Return (fate, code) of a response, () for what is none or not the last word, None for another request's."""
        try:
            response = sip_message.decode_response(octets)
            if response.branch != branch or response.method != METHOD:
                return None
        except Malformed:
            self.count(target, record.MALFORMED)
            return ()
        if response.status < 200:
            return ()
        wait_s = sip_message.hold_s(response)
        if wait_s:
            self.hold(target, self._clock.now_us() + wait_s * 1_000_000)
        mapped = sip_message.mapped(response.all("via")[0], self._link.address() or "0.0.0.0")
        if mapped is not None:
            self.note(target, record.MAPPED, mapped)
        self._heard = response if response.status in CHALLENGES else None
        if sip_message.is_failure(response.status):
            return codes.FATE_WRONG, response.status
        return codes.FATE_ANSWERED, None if response.status == 200 else response.status


class Sip(Options):
    """SIP OPTIONS through `control`; contact says in the User-Agent who runs this witness."""

    def __init__(self, control, clock, urandom, contact: str, secrets: dict[str, str]) -> None:
        super().__init__(clock, control.link, urandom, contact, secrets)
        self._control = control

    def once(self, target: plan.Target, address: str, request: bytes, branch: str):
        """Send one datagram: return what to await for its Sample."""
        head = (sip_message.MAGIC_COOKIE + branch).encode()

        def judge(octets: bytes) -> tuple | None:
            return self.judge(target, octets, branch) if head in octets else None

        peer = self._control.endpoint(address, self.port_of(target))
        return self._control.ask(request, peer, judge, target.timeout_ms * 1000)
