"""Fixtures for `cairn.common`: a service that exists only here, and servers on loopback that say what they saw."""

import asyncio
import datetime
import ipaddress
import ssl
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cairn.common.auth import new_signing_key, public_jwks
from cairn.common.db import Database
from cairn.common.settings import Settings
from cairn.provision.postgres import ServiceDatabase

PROBE = Path(__file__).parent / "probe"
KEK = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="

# `cairn` is a namespace package, so this adds `cairn.probe` beside the real ones.
sys.path.insert(0, str(PROBE))


@pytest.fixture(scope="session")
def signing_key():
    return new_signing_key()


@pytest.fixture
def settings(signing_key) -> Settings:
    """Settings of a test run that needs no database."""
    return Settings(
        service="probe",
        environment="test",
        database_url="postgresql://nobody:nothing@127.0.0.1:1/nowhere",
        kek=KEK,
        auth_jwks=public_jwks(signing_key),
        drain_seconds=2,
    )


@pytest.fixture(scope="session")
def probe_database(migrated_database: Callable[[str], ServiceDatabase]) -> ServiceDatabase:
    """A database with the tables of the probe."""
    return migrated_database("probe")


@pytest.fixture
async def database(probe_database: ServiceDatabase) -> AsyncGenerator[Database]:
    opened = Database(probe_database.url, pool=5)
    yield opened
    await opened.close()


@dataclass
class Sink:
    """A server on loopback, in plain or in TLS, that counts its connections and keeps the heads of the requests."""

    host: str
    port: int = 0
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    """What the clients asked for by SNI."""

    @property
    def netloc(self) -> str:
        return f"{self.host}:{self.port}"


Reply = Callable[[asyncio.StreamWriter, str], Awaitable[None]]


@pytest.fixture
async def sink() -> AsyncGenerator[Callable[..., Awaitable[Sink]]]:
    """`await sink(reply)` serves on a free port; `reply` writes the answer to a request, whose head it is given."""
    servers: list[asyncio.Server] = []

    async def start(
        reply: Reply | bytes = b"{}", *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> Sink:
        seen = Sink(host)
        if tls is not None:
            tls.sni_callback = lambda _socket, name, _context: seen.names.append(name)

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.connections += 1
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                seen.heads.append(head)
                if isinstance(reply, bytes):
                    writer.write(
                        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(reply) + reply
                    )
                else:
                    await reply(writer, head)
                await writer.drain()
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                writer.close()

        server = await asyncio.start_server(serve, host, port, ssl=tls)
        servers.append(server)
        seen.port = server.sockets[0].getsockname()[1]
        return seen

    yield start
    for server in servers:
        server.close()


@dataclass(frozen=True)
class Authority:
    """A private CA in a file, and server contexts for names that it vouches for."""

    file: str
    context_for: Callable[[str], ssl.SSLContext]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    folder = tmp_path_factory.mktemp("ca")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Cairn test CA")])
    now = datetime.datetime.now(datetime.UTC)

    def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey, *, ca: bool, host: str | None = None):
        made = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if host is not None:
            try:
                general: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
            except ValueError:
                general = x509.DNSName(host)
            made = made.add_extension(x509.SubjectAlternativeName([general]), critical=False)
        return made.sign(key, hashes.SHA256())

    pem = serialization.Encoding.PEM
    ca_file = folder / "ca.pem"
    ca_file.write_bytes(certificate(name, key.public_key(), ca=True).public_bytes(pem))

    def context_for(host: str) -> ssl.SSLContext:
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        chain = folder / f"{host}.pem"
        chain.write_bytes(
            own.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
            + certificate(subject, own.public_key(), ca=False, host=host).public_bytes(pem)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        return context

    return Authority(str(ca_file), context_for)
