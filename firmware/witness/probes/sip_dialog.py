"""A SIP user agent for one test call over UDP (RFC 3261): REGISTER, INVITE, ACK, CANCEL, BYE, and what comes meanwhile.

Timers (17.1, table 4): A and E resend after T1, doubled each time (E up to T2); a provisional response ends A and sets
E to T2. B and F are 64 T1, or what is left of the caller's own limit where that is less. A final response that comes
again is acknowledged again. Requests of the far end: BYE ends the call with a 200, OPTIONS has a 200, INVITE within the
call a 488, anything else a 501.

The next hop of what is sent within the call is the topmost Route, else the far end's Contact, where that is a dotted
address; else the server of the INVITE.
"""

import asyncio

from witness import dns_message
from witness.malformed import Malformed

from . import sip_message
from .sip_message import Message

T1_MS, T2_MS = 500, 4_000
LIMIT_MS = 64 * T1_MS  # timers B and F
CANCEL_MS = 2_000  # how long the answer to a cancelled INVITE is waited for
BYE_MS = 2_000
EXPIRES_S = 120
EXPIRES_MAX_S = 3_600


class Transaction:
    """One client transaction and what it has heard; times are the clock's, None before."""

    def __init__(self, method: str, branch: str) -> None:
        self.method = method
        self.branch = branch
        self.final: Message | None = None
        self.final_us = 0
        self.provisional_us: int | None = None  # of the first at all
        self.ringing_us: int | None = None  # of the first but 100
        self.refused = 0  # errno of the stack
        self.ack: tuple[bytes, object] | None = None  # sent again when the final response comes again
        self.heard = asyncio.Event()

    def take(self, response: Message, at_us: int) -> None:
        """Take a response of this transaction."""
        if self.final is not None:
            return
        if response.status < 200:
            if self.provisional_us is None:
                self.provisional_us = at_us
            if response.status > 100 and self.ringing_us is None:
                self.ringing_us = at_us
        else:
            self.final, self.final_us = response, at_us
        self.heard.set()


class Caller:
    """One call. credentials: sip_digest.Credentials or None; agent: User-Agent; until_us: when set-up must be done."""

    def __init__(self, control, clock, urandom, peer: object, domain: str, user: str, credentials, agent: str) -> None:
        self._control = control
        self._clock = clock
        self._urandom = urandom
        self._server = self._next_hop = peer
        self._domain = domain
        self._credentials = credentials
        self._agent = agent
        self._call_id = urandom(8).hex()
        self._cseq = 0
        self._me = "<sip:%s@%s>;tag=%s" % (user, domain, urandom(4).hex())
        self._ours = "%s:%d" % (control.link.address() or "0.0.0.0", control.port)
        self._contact = "<sip:%s@%s>" % (user, self._ours)
        self._transactions: list[Transaction] = []
        self._them = ""  # To of the call, with the far end's tag once there is one
        self._target = ""  # its remote target
        self._route: list[tuple[str, str]] = []
        self._invite: Transaction | None = None
        self._established = False
        self.hung_up = False  # by the far end
        self.refused_us = False  # our credentials were refused
        self.malformed = 0
        self.mapped: bytes | None = None  # address and port as the server saw us
        self._listener = control.listen(None, self._accept)

    # --- what a call is made of ---

    async def register(self, until_us: int) -> Transaction:
        """REGISTER for EXPIRES_S, or for as long as the registrar wants it at least; return the last transaction."""
        expires_s = EXPIRES_S
        uri = "sip:" + self._domain
        while True:
            more = [("Expires", "%d" % expires_s)]
            transaction = await self._asked("REGISTER", uri, self._me.split(";tag=")[0], more, b"", until_us)
            final = transaction.final
            least = final.first("min-expires") if final is not None and final.status == 423 else ""
            if not least.isdigit() or not expires_s < int(least) <= EXPIRES_MAX_S:
                return transaction
            expires_s = int(least)

    async def invite(self, extension: str, description: bytes, until_us: int) -> Transaction:
        """INVITE; return the last transaction, its 2xx acknowledged, or cancelled where it had no final response."""
        self._target = "sip:%s@%s" % (extension, self._domain)
        self._them = "<%s>" % self._target
        transaction = await self._asked("INVITE", self._target, self._them, (), description, until_us)
        if transaction.final is None:
            await self._cancel(transaction)
        elif transaction.final.status < 300:
            self._establish(transaction)
        return transaction

    async def bye(self) -> Transaction:
        """End the call; what has no answer in BYE_MS is left."""
        self._established = False
        until_us = self._clock.now_us() + BYE_MS * 1000
        return await self._asked("BYE", self._target, self._them, self._route, b"", until_us)

    def close(self) -> None:
        """Forget the call. One that stands is ended, one that rings cancelled, without waiting for an answer."""
        if self._established:
            self._control.send(self._request("BYE", self._target, self._them, self._route, b"")[0], self._next_hop)
        elif self._invite is not None and self._invite.final is None and self._invite.provisional_us is not None:
            self._control.send(self._cancelling(self._invite), self._server)
        self._control.forget(self._listener)

    # --- transactions ---

    def _request(self, method: str, uri: str, to: str, more, body: bytes) -> tuple[bytes, Transaction]:
        self._cseq += 1
        transaction = Transaction(method, self._urandom(8).hex())
        return self._encode(transaction, method, uri, to, more, body), transaction

    def _encode(self, transaction: Transaction, method: str, uri: str, to: str, more, body: bytes) -> bytes:
        headers = sip_message.request_headers("UDP", self._ours, transaction.branch, self._call_id, self._cseq, method)
        headers.append(("From", self._me))
        headers.append(("To", to))
        headers.extend(more)
        if self._credentials is not None and method != "CANCEL":
            # The ACK of a 2xx carries those of its INVITE too (22.3).
            headers.extend(self._credentials.headers("INVITE" if method == "ACK" else method, uri))
        if method in ("REGISTER", "INVITE"):
            headers.append(("Contact", self._contact))
        headers.append(("User-Agent", self._agent))
        if body:
            headers.append(("Content-Type", "application/sdp"))
        return sip_message.encode("%s %s SIP/2.0" % (method, uri), headers, body)

    async def _asked(self, method: str, uri: str, to: str, more, body: bytes, until_us: int) -> Transaction:
        """Ask, with credentials once they are asked for; return the last transaction."""
        while True:
            octets, transaction = self._request(method, uri, to, more, body)
            if method == "INVITE":
                self._invite = transaction
            await self._transact(transaction, octets, self._next_hop, until_us)
            final = transaction.final
            if final is not None and final.status >= 300 and method == "INVITE":
                self._acknowledge_refusal(transaction, uri)
            if final is None or final.status not in (401, 407):
                return transaction
            if self._credentials is None or not self._credentials.take(final):
                self.refused_us = True
                return transaction

    async def _transact(self, transaction: Transaction, octets: bytes, peer: object, until_us: int) -> None:
        """Send and send again until there is a final response or the time is over."""
        clock = self._clock
        self._transactions.append(transaction)
        until_us = min(until_us, clock.now_us() + LIMIT_MS * 1000)
        invite = transaction.method == "INVITE"
        wait_ms = T1_MS
        due_us = 0
        while transaction.final is None:
            now_us = clock.now_us()
            if now_us >= until_us:
                return
            waits = transaction.provisional_us is None or not invite
            if waits and now_us >= due_us:
                transaction.refused = self._control.send(octets, peer)
                if transaction.refused:
                    return
                due_us = now_us + wait_ms * 1000
                wait_ms = 2 * wait_ms if invite else min(2 * wait_ms, T2_MS)
            left_us = min(until_us, due_us if waits else until_us) - now_us
            transaction.heard.clear()
            try:
                await asyncio.wait_for_ms(transaction.heard.wait(), left_us // 1000 + 1)
            except asyncio.TimeoutError:
                continue
            if transaction.provisional_us is not None and not invite:
                wait_ms = T2_MS
                due_us = clock.now_us() + wait_ms * 1000

    def _acknowledge_refusal(self, transaction: Transaction, uri: str) -> None:
        """ACK of a final response but 2xx: the INVITE's branch, to where the INVITE went (17.1.1.3)."""
        to = transaction.final.first("to") if transaction.final is not None else self._them
        headers = sip_message.request_headers("UDP", self._ours, transaction.branch, self._call_id, self._cseq, "ACK")
        octets = sip_message.encode("ACK %s SIP/2.0" % uri, headers + [("From", self._me), ("To", to)])
        transaction.ack = (octets, self._server)
        self._control.send(octets, self._server)

    def _establish(self, transaction: Transaction) -> None:
        """Take dialog state from a 2xx (12.1.2) and send its ACK, a request of the dialog (13.2.2.4)."""
        final = transaction.final
        if final is None:
            return
        self._them = final.first("to")
        contact = final.all("contact")
        if contact:
            self._target = sip_message.uri_of(contact[0])
        routes = final.all("record-route")
        self._route = [("Route", routes[i]) for i in range(len(routes) - 1, -1, -1)]
        host, port = sip_message.host_and_port(sip_message.uri_of(self._route[0][1]) if self._route else self._target)
        if dns_message.is_dotted(host):
            self._next_hop = self._control.endpoint(host, port or sip_message.PORT)
        self._established = True
        acknowledging = Transaction("ACK", self._urandom(8).hex())
        octets = self._encode(acknowledging, "ACK", self._target, self._them, self._route, b"")
        transaction.ack = (octets, self._next_hop)
        self._control.send(octets, self._next_hop)

    def _cancelling(self, transaction: Transaction) -> bytes:
        return self._encode(transaction, "CANCEL", self._target, self._them, (), b"")

    async def _cancel(self, invited: Transaction) -> None:
        """CANCEL an INVITE that rings (9.1); one without any response must not be cancelled. See that it ends."""
        if invited.provisional_us is None:
            return
        cancel = Transaction("CANCEL", invited.branch)
        until_us = self._clock.now_us() + CANCEL_MS * 1000
        await self._transact(cancel, self._cancelling(invited), self._server, until_us)
        while invited.final is None and self._clock.now_us() < until_us:
            await self._clock.sleep_ms(10)
        if invited.final is None:
            return
        if invited.final.status < 300:
            self._establish(invited)  # it was answered as we gave up
            await self.bye()
        else:
            self._acknowledge_refusal(invited, self._target)

    # --- what comes in ---

    def _accept(self, octets: bytes, received_us: int) -> bool:
        if self._call_id.encode() not in octets:
            return False
        source = self._control.source
        try:
            message = sip_message.decode(octets)
            if message.first("call-id") != self._call_id:
                return False
            if not message.status:
                self._serve(message, source)
                return True
            branch = message.branch
        except Malformed:
            self.malformed += 1
            return True
        for transaction in self._transactions:
            if transaction.branch == branch and transaction.method == message.method:
                if transaction.final is not None and transaction.ack is not None and message.status >= 200:
                    self._control.send(*transaction.ack)
                self._note_mapped(message)
                transaction.take(message, received_us)
                return True
        return False

    def _serve(self, request: Message, source: object) -> None:
        """Answer a request of the far end."""
        if request.method == "ACK":
            return
        status = {"BYE": "200 OK", "OPTIONS": "200 OK", "INVITE": "488 Not Acceptable Here"}
        if request.method == "BYE":
            self.hung_up = True
            self._established = False
        headers = [("Via", via) for via in request.all("via")]
        headers += [(name, request.first(name.lower())) for name in ("From", "To", "Call-ID", "CSeq")]
        first = "SIP/2.0 " + status.get(request.method, "501 Not Implemented")
        self._control.send(sip_message.encode(first, headers), source)

    def _note_mapped(self, response: Message) -> None:
        """Keep received and rport of our Via (RFC 3581)."""
        via = response.all("via")[0]
        self.mapped = sip_message.mapped(via, self._ours) or self.mapped
