"""Pools may be reached over TLS, if their certificate is one that this machine trusts."""

from __future__ import annotations

import shlex
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from gateways import DELTA, END, START, STREAM_HEAD, Asked, Connection, Serve, Upstream, chunk, eventually

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed here")


class Secret(Upstream):
    """An upstream that speaks TLS."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate, key)
        super().__init__()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.sock = self._tls.wrap_socket(connection.sock, server_side=True)
        except OSError:
            connection.gone.set()
            return
        super()._serve(connection)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    made = folder / "certificate", folder / "key"
    command = shlex.split("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=localhost")
    command += ["-addext", "subjectAltName=DNS:localhost", "-out", str(made[0]), "-keyout", str(made[1])]
    subprocess.run(command, check=True, capture_output=True, timeout=30)
    return made


@pytest.fixture
def secret(certificate: tuple[Path, Path]) -> Iterator[Secret]:
    server = Secret(*certificate)
    yield server
    server.stop()


def test_a_stream_passes_over_tls_and_the_connection_is_kept(
    serve: Serve, secret: Secret, certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))
    events = START + DELTA * 20_000 + END

    def answer(to: Connection, _: Asked) -> None:
        to.send(STREAM_HEAD, *(chunk(events[i : i + 30_000]) for i in range(0, len(events), 30_000)), chunk(b""))

    secret.answer = answer
    gateway = serve(urls=(f"https://localhost:{secret.port}",))
    for _ in range(2):
        assert gateway.post(b'{"model":"m","pad":"' + b"x" * 3_000_000 + b'"}').body == events
    assert len(secret.connections) == 1
    with gateway.client(receive_bytes=4096) as client:
        client.ask()
        client.head()
        client.reset()
    eventually(gateway.idle)
    assert gateway.ends()[0] == (0, 10, 0, 90, 9)


def test_a_certificate_that_nobody_trusts_is_no_connection(serve: Serve, secret: Secret) -> None:
    gateway = serve(urls=(f"https://localhost:{secret.port}",))
    assert gateway.post().status == 502
    assert secret.asked == []
