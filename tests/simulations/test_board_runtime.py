"""Firmware-like programs behave on the virtual board as on a board: asyncio, sockets, files, machine, clock."""

import datetime
import socket
import ssl
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from simulations.board.harness import VmError, available_vms, run_on_board
from tests.simulations.board_world import tcp_echo, udp_echo

pytestmark = pytest.mark.parametrize("vm", available_vms())


SCHEDULER = """
import asyncio, time

log = []

async def worker(name, delay_ms, n):
    for i in range(n):
        await asyncio.sleep_ms(delay_ms)
        log.append(name)
    return name

async def spin(stop):
    count = 0
    while not stop.is_set():
        await asyncio.sleep_ms(0)
        count += 1
    return count

async def fails():
    await asyncio.sleep_ms(1)
    raise ValueError("told")

async def main():
    stop = asyncio.Event()
    spinner = asyncio.create_task(spin(stop))
    start = time.ticks_ms()
    print(await asyncio.gather(worker("a", 20, 3), worker("b", 25, 2)))
    took = time.ticks_diff(time.ticks_ms(), start)
    print("in time", 55 <= took < 150, log)
    stop.set()
    print("others ran", await spinner > 10)
    try:
        await asyncio.wait_for_ms(worker("z", 5000, 1), 20)
    except asyncio.TimeoutError:
        print("timeout")
    task = asyncio.create_task(worker("c", 5000, 1))
    await asyncio.sleep_ms(5)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print("cancelled")
    try:
        await fails()
    except ValueError as error:
        print("raised", error)
    lock = asyncio.Lock()
    async with lock:
        print("locked", lock.locked())
    flag = asyncio.ThreadSafeFlag()
    waiter = asyncio.create_task(flag.wait())
    await asyncio.sleep_ms(1)
    flag.set()
    await waiter
    print("flag")

asyncio.run(main())
"""


def test_asyncio_schedules_times_out_cancels_and_never_starves(vm: str) -> None:
    assert run_on_board(vm, {}, SCHEDULER).splitlines() == [
        "['a', 'b']",
        "in time True ['a', 'b', 'a', 'b', 'a']",
        "others ran True",
        "timeout",
        "cancelled",
        "raised told",
        "locked True",
        "flag",
    ]


def test_an_uncaught_exception_is_printed_and_fails_the_run(vm: str) -> None:
    main = "import asyncio\nasync def main():\n    await asyncio.sleep_ms(1)\n    1 // 0\nasyncio.run(main())\n"
    with pytest.raises(VmError, match=r'File "/main.py", line 4, in main(.|\n)*ZeroDivisionError'):
        run_on_board(vm, {}, main)


def test_udp_by_stream_and_by_poll(vm: str) -> None:
    with udp_echo() as port:
        main = f"""
import asyncio, select, socket

async def wait_readable(s):
    asyncio.core._io_queue.queue_read(s)
    yield

async def main():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setblocking(False)
    try:
        s.recvfrom(10)
    except OSError as error:
        print("errno", error.errno)
    for n in range(3):
        s.sendto(b"packet %d" % n, ("127.0.0.1", {port}))
    got = []
    for n in range(3):
        await asyncio.StreamReader(s).readinto(bytearray(0))
        got.append(s.recvfrom(2000))
    print([octets for octets, source in got], got[0][1] == ("127.0.0.1", {port}))
    poller = select.poll()
    poller.register(s, select.POLLIN)
    print(poller.poll(10))
    s.sendto(b"again", ("127.0.0.1", {port}))
    print(len(poller.poll(1000)), s.recv(3))
    s.close()

asyncio.run(main())
"""
        main = main.replace("await asyncio.StreamReader(s).readinto(bytearray(0))", "await wait_readable(s)")
        assert run_on_board(vm, {}, main).splitlines() == [
            "errno 11",
            "[b'packet 0', b'packet 1', b'packet 2'] True",
            "[]",
            "1 b'aga'",
        ]


def test_tcp_streams_and_refused_connections(vm: str) -> None:
    with tcp_echo() as port:
        with socket.create_server(("127.0.0.1", 0)) as server:
            closed_port = server.getsockname()[1]
        main = f"""
import asyncio

async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", {port})
    writer.write(b"one\\ntwo\\n" + bytes(20000))
    await writer.drain()
    print(await reader.readline(), await reader.readline(), len(await reader.readexactly(20000)))
    try:
        await asyncio.wait_for_ms(reader.readline(), 30)
    except asyncio.TimeoutError:
        print("timeout")
    writer.write(b"still here")
    await writer.drain()
    print(await reader.read(100))
    writer.close()
    await writer.wait_closed()
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", {closed_port})
        writer.write(b"x")
        await writer.drain()
        await reader.read(1)
        print("connected?")
    except OSError as error:
        print("errno", error.errno)

asyncio.run(main())
"""
        assert run_on_board(vm, {}, main).splitlines() == [
            "b'one\\n' b'two\\n' 20000",
            "timeout",
            "b'still here'",
            "errno 111",
        ]


def test_files_and_directories(vm: str) -> None:
    main = """
import os, json, sys
os.mkdir("/data")
with open("/data/a.txt", "w") as file:
    file.write("line 1\\nline 2\\n" + "x" * 5000)
with open("/data/a.txt") as file:
    print(file.readline(), file.readline(), len(file.read()), end="|")
with open("/data/b.bin", "wb") as file:
    file.write(bytes(range(256)))
    file.seek(10)
    file.write(b"!!")
with open("/data/b.bin", "rb") as file:
    head = bytearray(12)
    print(file.readinto(head), head[8:], file.tell(), file.seek(-1, 2), file.read())
os.rename("/data/b.bin", "/data/c.bin")
print(sorted(os.listdir("/data")), os.stat("/data/c.bin")[6], list(os.ilistdir("/data"))[0][1] == 0x8000)
for path in ("/none", "/data"):
    try:
        os.remove(path) if path == "/none" else os.rmdir(path)
    except OSError as error:
        print(path, error.errno)
json.dump({"k": [1, None]}, open("/k.json", "w")) if False else None
os.chdir("/data")
print(os.getcwd(), os.stat("a.txt")[6])
sys.path.append("/mods")
import one
print(one.VALUE, os.statvfs("/")[0])
"""
    assert run_on_board(vm, {"mods/one.py": "VALUE = 7\n"}, main).splitlines() == [
        "line 1",
        " line 2",
        " 5000|12 bytearray(b'\\x08\\t!!') 12 255 b'\\xff'",
        "['a.txt', 'c.bin'] 256 True",
        "/none 2",
        "/data 39",
        "/data 5014",
        "7 4096",
    ]


@pytest.mark.parametrize("profile", ["esp32-poe", "pico-w"])
def test_the_board_is_the_one_of_the_profile(vm: str, profile: str) -> None:
    main = """
import machine, network, os, sys, time
print(sys.platform, os.uname()[0], machine.reset_cause() == machine.PWRON_RESET, len(machine.unique_id()))
print(hasattr(network, "LAN"), hasattr(network, "WLAN"), len(os.urandom(33)), len(set(os.urandom(4000))) > 200)
start = time.ticks_us()
time.sleep_ms(5)
took = time.ticks_diff(time.ticks_us(), start)
print(5000 <= took < 50000, time.ticks_add((1 << 30) - 1, 2), time.ticks_diff(1, (1 << 30) - 1))
now = time.time_ns()
print(time.time() < 60, time.localtime()[0])
led = machine.Pin("LED" if sys.platform == "rp2" else 2, machine.Pin.OUT)
led.on()
print(led.value())
try:
    machine.WDT(timeout=10000)
    print("watchdog")
except ValueError as error:
    print(error)
"""
    rp2 = profile == "pico-w"
    assert run_on_board(vm, {}, main, profile=profile).splitlines() == [
        f"{'rp2 rp2' if rp2 else 'esp32 esp32'} True {8 if rp2 else 6}",
        f"{not rp2} True 33 True",
        "True 1 2",
        f"True {1970 if rp2 else 2000}",
        "1",
        "timeout exceeds 8388" if rp2 else "watchdog",
    ]


def make_certificate(name: str) -> tuple[bytes, bytes, bytes]:
    """Self-signed for `name`: certificate in DER, certificate and key in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(1))
        .not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.DER), certificate.public_bytes(Encoding.PEM), pem


def test_tls_trusts_the_given_authority_and_the_right_name_alone(vm: str, tmp_path: Path) -> None:
    der, certificate, key = make_certificate("broker.test")
    stranger, _, _ = make_certificate("broker.test")
    (tmp_path / "cert.pem").write_bytes(certificate + key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem")
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for _ in range(3):
            client, _ = server.accept()
            try:
                with context.wrap_socket(client, server_side=True) as tls:
                    while data := tls.recv(4096):
                        tls.sendall(data)
            except OSError:
                # The board refused the certificate.
                continue

    thread = threading.Thread(target=serve)
    thread.start()
    main = f"""
import asyncio, ssl

async def talk(ca, name):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=open(ca, "rb").read())
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", {server.getsockname()[1]}, ssl=context, server_hostname=name)
        writer.write(bytes(9000) + b"end\\n")
        await writer.drain()
        line = await reader.readline()
        print(len(line))
        writer.close()
        await writer.wait_closed()
    except ValueError as error:  # as the boards' mbedTLS says it
        print(str(error).strip())

async def main():
    await talk("/ca.der", "broker.test")
    await talk("/stranger.der", "broker.test")
    await talk("/ca.der", "other.test")

asyncio.run(main())
"""
    files = {"ca.der": der, "stranger.der": stranger}
    printed = run_on_board(vm, files, main, profile="pico-w")
    thread.join(10)
    server.close()
    assert printed.splitlines() == [
        "9004",
        "The certificate is not correctly signed by the trusted CA",
        "The certificate Common Name (CN) does not match with the expected CN",
    ]


def test_a_raw_socket_pings_loopback_where_the_kernel_permits_it(vm: str) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()
        expected = "(0, 9)"
    except PermissionError:
        expected = "errno 1"
    main = """
import socket, struct
try:
    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    s.settimeout(2)
    request = struct.pack(">BBHHH", 8, 0, 0, 9, 1)
    s.sendto(request[:2] + struct.pack(">H", 0xffff - 0x0800 - 9 - 1) + request[4:], ("127.0.0.1", 0))
    answer = None
    while answer is None or answer[0] == 8:
        packet = s.recv(100)
        answer = packet[20], struct.unpack(">H", packet[24:26])[0]
    print(answer)
except OSError as error:
    print("errno", error.errno)
"""
    assert run_on_board(vm, {}, main) == expected + "\n"
