"""Reminders on real servers: a mail server and a webhook get each thing once, and what failed is told the next time."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from branch_story import EDGE, SECOND, T0, Branch, Fault
from click.testing import CliRunner
from test_settle_command import ISPS, store
from test_settle_command import fleet as ledger_fleet
from test_tickets import DAY, HOUR, MINUTE, SITES, contract, entry, fleet, settlement, told, verdict

from linewitness import cli
from linewitness.errors import CannotDo, UsageProblem
from linewitness.fleet import Fleet
from linewitness.ledger import Ledger
from linewitness.lock import only_one
from linewitness.model import Side
from linewitness.reminders.channels import Mail, Webhook
from linewitness.reminders.messages import Message, deadlines, failures
from linewitness.reminders.settings import settings
from linewitness.reminders.telling import tell
from linewitness.tickets.due import due
from linewitness.tickets.incidents import incidents
from simulations.free_ports import free_port

__all__ = ["fleet", "ledger_fleet"]  # the fixtures


@dataclass
class Office:
    """A mail server's memory, and the people whom it does not know."""

    mails: list[Envelope] = field(default_factory=list)
    unknown: tuple[str, ...] = ()

    async def handle_RCPT(self, server: Any, session: Any, envelope: Envelope, address: str, options: Any) -> str:
        if address in self.unknown:
            return "550 nobody here of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        self.mails.append(envelope)
        return "250 OK"


@pytest.fixture
def office() -> Iterator[tuple[Office, int]]:
    memory = Office()
    server = Controller(memory, hostname="127.0.0.1", port=free_port())
    server.start()
    yield memory, server.port
    server.stop()


class Hook(BaseHTTPRequestHandler):
    """A webhook: got holds (headers, JSON)."""

    got: list[tuple[dict[str, str], dict[str, Any]]]
    status = 204

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.got.append((dict(self.headers), body))
        self.send_response(self.status)
        if self.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        """Keep the test's output clean."""


@pytest.fixture
def hook() -> Iterator[tuple[type[Hook], str]]:
    handler = type("ThisHook", (Hook,), {"got": []})
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield handler, f"http://127.0.0.1:{server.server_port}/secret-path"
    server.shutdown()
    server.server_close()
    thread.join()


MESSAGE = Message("failed", "k", "leeds: calls fail", "What happened: Straße.\n", "provider", ("leeds",), 1, 2)


# --- channels -------------------------------------------------------------------------------------------------------


def test_a_mail_arrives_as_it_was_written(office: tuple[Office, int]) -> None:
    memory, port = office
    Mail("127.0.0.1", port, "none", "line@acme.example", ("a@acme.example", "b@acme.example")).send(MESSAGE, "acme")
    (envelope,) = memory.mails
    assert (envelope.mail_from, envelope.rcpt_tos) == ("line@acme.example", ["a@acme.example", "b@acme.example"])
    mail = message_from_bytes(envelope.content or b"", policy=policy.default)
    assert mail["Subject"] == "[linewitness acme] leeds: calls fail"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content().strip() == "What happened: Straße."


def test_a_password_goes_over_tls_only_and_to_whom_the_authority_vouches_for(fleet: Fleet) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(fleet.keys / "broker.pem", fleet.keys / "broker.key")

    def check(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=(data.login, data.password) == (b"line", b"right"), handled=False)

    memory = Office()
    server = Controller(memory, hostname="127.0.0.1", port=free_port(), tls_context=context, require_starttls=True,
                        auth_required=True, authenticator=check)  # fmt: skip
    server.start()
    try:
        to = ("127.0.0.1", server.port, "starttls", "line@acme.example", ("a@acme.example",), "line")
        Mail(*to, "right", fleet.ca_pem).send(MESSAGE, "acme")
        assert len(memory.mails) == 1
        with pytest.raises(CannotDo, match="refuses user 'line'"):
            Mail(*to, "wrong", fleet.ca_pem).send(MESSAGE, "acme")
        with pytest.raises(CannotDo, match="no TLS with the mail server"):
            Mail(*to, "right", None).send(MESSAGE, "acme")
        assert len(memory.mails) == 1
    finally:
        server.stop()


def test_a_server_that_is_not_there_or_refuses_is_one_line(office: tuple[Office, int]) -> None:
    memory, port = office
    with pytest.raises(CannotDo, match="no mail server"):
        Mail("127.0.0.1", free_port(), "none", "l@acme.example", ("a@acme.example",)).send(MESSAGE, "acme")
    memory.unknown = ("b@acme.example",)
    with pytest.raises(CannotDo, match=r"refused for b@acme\.example"):
        Mail("127.0.0.1", port, "none", "l@acme.example", ("a@acme.example", "b@acme.example")).send(MESSAGE, "acme")
    with pytest.raises(CannotDo, match=r"the recipients b@acme\.example"):
        Mail("127.0.0.1", port, "none", "l@acme.example", ("b@acme.example",)).send(MESSAGE, "acme")
    with pytest.raises(CannotDo, match="refuses"):
        Mail("127.0.0.1", port, "starttls", "l@acme.example", ("a@acme.example",)).send(MESSAGE, "acme")


def test_a_webhook_gets_json_and_a_token_and_is_not_followed_elsewhere(hook: tuple[type[Hook], str]) -> None:
    handler, url = hook
    Webhook(url, "t0ken").send(MESSAGE, "acme")
    headers, body = handler.got[0]
    assert (headers["Authorization"], headers["Content-Type"]) == ("Bearer t0ken", "application/json")
    assert (body["fleet"], body["kind"], body["sites"], body["side"]) == ("acme", "failed", ["leeds"], "provider")
    handler.status = 302
    with pytest.raises(CannotDo, match="answered 302") as caught:
        Webhook(url, "t0ken").send(MESSAGE, "acme")
    assert "secret-path" not in caught.value.line()
    assert len(handler.got) == 2
    with pytest.raises(CannotDo, match="can't be reached"):
        Webhook(f"http://127.0.0.1:{free_port()}/").send(MESSAGE, "acme")


# --- what is told ---------------------------------------------------------------------------------------------------


def test_a_repaired_failure_says_what_whose_what_was_done_and_how_long(fleet: Fleet) -> None:
    ticket = told(fleet, entry("opened", 5), entry("answered", 8, "a card is broken"))
    (one,) = failures(incidents(settlement(verdict()), SITES, {}), [ticket], SITES)
    assert (one.kind, one.subject) == ("repaired", "leeds: repaired after 7 min 59 s to 8 min 01 s, side: the provider")
    for wanted in (
        "What happened: the telephone service at leeds failed at 2026-03-01 10:02:01 UTC.",
        "Whose side: the provider (provider), 97 % sure.",
        "not our own side: the gateway answered 60 of 60",
        "not excluded: block at the customer's side not excluded",
        "What is being done: ticket INC-1 with acme, answered at 2026-03-01 10:08:00 UTC: a card is broken.",
        "How long it took to repair: 7 min 59 s to 8 min 01 s; over at 2026-03-01 10:10:00 UTC.",
    ):
        assert wanted in one.body, wanted


def test_an_open_failure_without_a_ticket_says_to_open_one() -> None:
    (one,) = failures(incidents(settlement(verdict(), end_us=T0 + 600 * SECOND), SITES, {}), [], SITES)
    assert one.kind == "failed"
    assert "no ticket is open. Open one now: linewitness ticket draft" in one.body
    assert "It is not over yet." in one.body
    own = settlement(verdict(side=Side.CUSTOMER))
    assert "our own side's to repair" in failures(incidents(own, SITES, {}), [], SITES)[0].body


def test_a_deadline_is_told_once_for_each_of_its_days(fleet: Fleet) -> None:
    deal = contract()

    def keys(days_left: float) -> list[str]:
        found = due(settlement(verdict()), [deal], [], {}, T0, SITES)
        (claim,) = found
        return [m.key for m in deadlines(found, (claim.at_us or 0) - int(days_left * DAY), [14, 3, 1])]

    assert keys(15) == []
    assert keys(14) == keys(5) == ["claim/acme/2026-03/14"]
    assert keys(2.5) == ["claim/acme/2026-03/3"]
    assert keys(0.5) == ["claim/acme/2026-03/1"]
    assert keys(-0.5) == []


def test_a_clock_that_ran_out_is_told(fleet: Fleet) -> None:
    found = due(None, [contract()], [told(fleet, entry("opened", 0))], {}, T0 + 20 * MINUTE, SITES)
    (one,) = deadlines(found, T0 + 20 * MINUTE, [1])
    assert (one.kind, one.subject) == ("clock", "INC-1: response is overdue")
    assert "it ran out at 2026-03-01 10:15:00 UTC" in one.body


# --- once -----------------------------------------------------------------------------------------------------------


@dataclass
class Tray:
    """A channel that keeps what it gets, or refuses everything."""

    name: str = "tray"
    got: list[Message] = field(default_factory=list)
    broken: bool = False

    def send(self, message: Message, fleet: str) -> None:
        if self.broken:
            raise CannotDo("no paper", self.name)
        self.got.append(message)


def tell_all(book: Ledger, *trays: Tray, **how: Any) -> list[str]:
    messages: list[Message] = how.pop("messages")
    return [t.problem for t in tell(book, trays, messages, "acme", lambda: T0, **how)]  # type: ignore[arg-type]


def failure(*sites: str, start_s: int, end_s: int, kind: str = "failed", side: str = "provider") -> Message:
    return Message(kind, f"{kind}/{side}/{start_s}", "s", "b", side, sites, T0 + start_s * SECOND, T0 + end_s * SECOND)


def test_the_same_failure_with_moved_bounds_is_told_once_and_its_repair_once(fleet: Fleet) -> None:
    tray = Tray()
    with fleet.ledger() as book:
        tell_all(book, tray, messages=[failure("leeds", start_s=120, end_s=200)])
        tell_all(book, tray, messages=[failure("leeds", "york", start_s=118, end_s=400)])
        tell_all(book, tray, messages=[failure("leeds", start_s=118, end_s=500, kind="repaired")])
        tell_all(book, tray, messages=[failure("leeds", start_s=119, end_s=501, kind="repaired")])
        tell_all(book, tray, messages=[failure("leeds", start_s=900, end_s=950)])
        tell_all(book, tray, messages=[failure("leeds", start_s=120, end_s=200, side="isp")])
    assert [(m.kind, m.side, m.start_us - T0) for m in tray.got] == [
        ("failed", "provider", 120 * SECOND),
        ("repaired", "provider", 118 * SECOND),
        ("failed", "provider", 900 * SECOND),
        ("failed", "isp", 120 * SECOND),  # another side: people have to know
    ]


def test_what_is_about_no_failure_is_told_once_by_its_key(fleet: Fleet) -> None:
    tray = Tray()
    fourteen, three = (Message("deadline", f"claim/acme/2026-03/{days}", "s", "b") for days in (14, 3))
    with fleet.ledger() as book:
        for messages in ([fourteen], [fourteen], [fourteen, three], [three]):
            tell_all(book, tray, messages=messages)
    assert tray.got == [fourteen, three]


def test_a_broken_channel_gets_it_the_next_time_and_the_other_only_once(fleet: Fleet) -> None:
    broken, well = Tray("broken", broken=True), Tray("well")
    messages = [failure("leeds", start_s=120, end_s=200), MESSAGE]
    with fleet.ledger() as book:
        problems = tell_all(book, broken, well, messages=messages)
        assert [bool(p) for p in problems] == [True, True, False, False]
        broken.broken = False
        assert tell_all(book, broken, well, messages=messages) == ["", ""]
        assert tell_all(book, broken, well, messages=messages) == []
    assert (len(broken.got), len(well.got)) == (2, 2)


def test_a_dry_run_tells_nobody_and_remembers_nothing(fleet: Fleet) -> None:
    tray = Tray()
    with fleet.ledger() as book:
        assert tell_all(book, tray, messages=[MESSAGE], dry_run=True) == [""]
        assert (tray.got, list(book.items("reminder"))) == ([], [])


# --- the command ----------------------------------------------------------------------------------------------------


def test_remind_tells_by_mail_and_webhook_once(
    fleet: Fleet, tmp_path: Path, office: tuple[Office, int], hook: tuple[type[Hook], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (memory, port), (handler, url) = office, hook
    with (fleet.root / "fleet.toml").open("a") as f:
        f.write(
            f'\n[reminders]\nsmtp = "127.0.0.1:{port}"\nmail_security = "none"\nmail_from = "line@acme.example"\n'
            f'mail_to = ["a@acme.example"]\nwebhook = "secret:hook"\nwebhook_token = "secret:token"\n'
        )
    fleet.set_secret("hook", url)
    fleet.set_secret("token", "t0ken")
    monkeypatch.setattr("time.time_ns", lambda: (T0 + 2 * HOUR) * 1000)
    saved = tmp_path / "s.json"
    saved.write_text(settlement(verdict()).to_json())

    def run(*arguments: str) -> Any:
        given = ["remind", *arguments, "--settlement", str(saved), "--fleet", str(fleet.root)]
        return CliRunner().invoke(cli.main, given)

    dry = run("--dry-run")
    assert (dry.exit_code, dry.stdout.count("would tell")) == (0, 2), dry.output
    assert (memory.mails, handler.got) == ([], [])
    handler.status = 500
    half = run()
    assert (half.exit_code, half.stderr.count("\n")) == (1, 1)
    assert "1 of 2 not told by webhook: the webhook answered 500" in half.stderr
    assert len(memory.mails) == 1
    handler.status = 204
    again = run("--json")
    assert [t["channel"] for t in json.loads(again.stdout)["told"]] == ["webhook"]
    assert run().stdout == "nothing new to tell\n"
    assert (len(memory.mails), len(handler.got)) == (1, 2)
    assert handler.got[-1][1]["subject"].startswith("leeds: repaired after")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", "nobody to remind"),
        ('smtp = "mail"\nmail_from = "a@b"\nmail_to = ["c@d"]', "HOST:PORT"),
        ('smtp = "mail:25"\nmail_from = "a@b"', "'mail_to' is missing"),
        ('smtp = "mail:25"\nmail_from = "a@b"\nmail_to = ["c@d"]\nmail_security = "ssl"', "no security 'ssl'"),
        ('smtp = "mail:25"\nmail_from = "a@b"\nmail_to = ["c@d"]\nmail_password = "x"', "a secret in fleet.toml"),
        ('webhook = "gopher://x"', "http or https"),
        ('webhook = "https://x"\nsides = ["theirs"]', "no side 'theirs'"),
        ('webhook = "https://x"\ndays_before = [-1]', "negative"),
    ],
)
def test_settings_that_make_no_sense_are_wrong_usage(fleet: Fleet, text: str, wanted: str) -> None:
    with (fleet.root / "fleet.toml").open("a") as f:
        f.write(f"\n[reminders]\n{text}\n")
    with pytest.raises(UsageProblem, match=wanted):
        settings(Fleet.open(fleet.root))


def test_a_password_over_an_open_line_is_refused(fleet: Fleet) -> None:
    fleet.set_secret("mail", "x")
    with (fleet.root / "fleet.toml").open("a") as f:
        f.write('\n[reminders]\nsmtp = "m:25"\nmail_from = "a@b"\nmail_to = ["c@d"]\nmail_security = "none"\n'
                'mail_password = "secret:mail"\n')  # fmt: skip
    with pytest.raises(UsageProblem, match="over an open line"):
        settings(Fleet.open(fleet.root))


def test_a_failure_in_the_ledger_is_told_while_it_lasts_and_when_it_is_over(
    ledger_fleet: Fleet, hook: tuple[type[Hook], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, url = hook
    with (ledger_fleet.root / "fleet.toml").open("a") as f:
        f.write(f'\n[reminders]\nwebhook = "{url}"\n')

    def run(at_us: int) -> Any:
        monkeypatch.setattr("time.time_ns", lambda: at_us * 1000)
        return CliRunner().invoke(cli.main, ["remind", "--fleet", str(ledger_fleet.root)])

    out = Fault(EDGE, 100 * SECOND, 240 * SECOND)
    for site in ISPS:
        store(ledger_fleet, Branch(site, (out,), duration_us=200 * SECOND))
    for i in range(3):
        assert run(T0 + (201 + i) * SECOND).exit_code == 0
    assert [body["kind"] for _, body in handler.got] == ["failed"]
    assert handler.got[0][1]["sites"] == ["leeds", "york"]
    for site in ISPS:
        store(ledger_fleet, Branch(site, (out,), duration_us=300 * SECOND))
    for i in range(3):
        assert run(T0 + (301 + i) * SECOND).exit_code == 0
    assert [body["kind"] for _, body in handler.got] == ["failed", "repaired"]
    repaired = handler.got[1][1]
    assert repaired["start_us"] <= T0 + 100 * SECOND <= T0 + 240 * SECOND <= repaired["end_us"]
    assert "How long it took to repair: 2 min" in repaired["body"]


def test_two_runs_at_once_tell_nothing_twice(fleet: Fleet) -> None:
    with (fleet.root / "fleet.toml").open("a") as f:
        f.write('\n[reminders]\nwebhook = "http://127.0.0.1:9/"\n')
    with only_one(fleet.root, "reminder"):
        result = CliRunner().invoke(cli.main, ["remind", "--fleet", str(fleet.root)])
    assert (result.exit_code, "another reminder of this fleet is running" in result.stderr) == (1, True)
    assert CliRunner().invoke(cli.main, ["remind", "--fleet", str(fleet.root)]).exit_code == 0
