"""Nobody without the token can hold up who has it, and nobody waits without end."""

import asyncio
import http.client
import socket
import threading
import time
from contextlib import ExitStack, closing, suppress

import pytest

from ivimkit.viewer.connection import Patience
from ivimkit.viewer.routes import Routes, application
from ivimkit.viewer.security import Guard
from ivimkit.viewer.server import Server, bind
from ivimkit.viewer.study import Study

TOKEN = "t" * 43
SHORT = 0.4
LATE = 8.0


@pytest.fixture
def serve(result):
    """Start a server of some patience; returns its port."""
    with ExitStack() as running:

        def started(patience, before=None):
            listening = bind(0)
            port = listening.getsockname()[1]
            guard = Guard(application(Routes(Study.of([result]), {})), TOKEN, port)

            async def application_after(scope, receive, send):
                if before is not None:
                    await before(scope)
                await guard(scope, receive, send)

            serving = Server(application_after, listening, patience)
            serving.start()
            running.callback(serving.stop)
            return port

        yield started


@pytest.fixture
def server(serve):
    """A server of little patience; its port."""
    return serve(Patience(headers=SHORT, body=SHORT, strangers=8))


def connect(port):
    return closing(socket.create_connection(("127.0.0.1", port), timeout=LATE))


def ended(connection):
    """Whether the server closes a connection before long."""
    begun = time.monotonic()
    with suppress(ConnectionError, TimeoutError):
        while connection.recv(4096):
            pass
    return time.monotonic() - begun < LATE / 2


def ask(port, token=TOKEN):
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LATE)) as connection:
        connection.request("GET", f"/{token}/api/ping")
        return connection.getresponse().status


HEAD = f"Host: 127.0.0.1:{{port}}\r\nContent-Length: 1000\r\n\r\n{'x' * 10}"
HALF = {
    "nothing": "",
    "half a line": "GET /x HT",
    "half a head": "GET /x HTTP/1.1\r\nHost: a",
    "half a body": f"POST /x/api/refit HTTP/1.1\r\n{HEAD}",
    "half a body with the token": f"POST /{TOKEN}/api/refit HTTP/1.1\r\n{HEAD}",
    "a second head": f"GET /{TOKEN}/ HTTP/1.1\r\nHost: 127.0.0.1:{{port}}\r\n\r\nGET /x HT",
}


@pytest.mark.parametrize("sent", HALF.values(), ids=HALF)
def test_what_is_not_finished_is_ended(server, sent):
    with connect(server) as connection:
        connection.sendall(sent.format(port=server).encode())
        assert ended(connection)


def test_drop_by_drop_is_no_faster(server):
    """Each byte of a head must not buy more time."""
    with connect(server) as connection:
        connection.sendall(b"GET /x HTTP/1.1\r\n")
        begun = time.monotonic()
        with suppress(ConnectionError):
            while time.monotonic() - begun < LATE:
                connection.sendall(b"a: b\r\n")
                time.sleep(SHORT / 4)
        assert time.monotonic() - begun < LATE / 2


def test_many_strangers_do_not_keep_the_owner_out(server):
    with ExitStack() as open_ones:
        for _ in range(100):
            stranger = open_ones.enter_context(connect(server))
            stranger.sendall(b"GET /x HTTP/1.1\r\nHost: a")
        begun = time.monotonic()
        assert ask(server) == 200
        assert time.monotonic() - begun < LATE / 2


def test_who_has_shown_the_token_stays(serve):
    """Strangers are closed for strangers, not the owner's connection that is kept."""
    strangers_are_here = threading.Event()

    async def before(scope):
        # The token of a second request has not been looked for yet when the strangers come.
        while scope["path"].endswith("second") and not strangers_are_here.is_set():
            await asyncio.sleep(0.01)

    # It is about numbers: a busy machine may take longer than `SHORT` to send a request.
    server = serve(Patience(strangers=8), before)
    with (
        closing(http.client.HTTPConnection("127.0.0.1", server, timeout=LATE)) as kept,
        ExitStack() as open_ones,
    ):
        kept.request("GET", f"/{TOKEN}/api/ping")
        assert kept.getresponse().read()
        number = kept.sock.getsockname()[1]
        kept.request("GET", f"/{TOKEN}/second")
        strangers = [open_ones.enter_context(connect(server)) for _ in range(20)]
        # As many as may stay are left of them: the server has seen all.
        assert all(ended(stranger) for stranger in strangers[:12])
        strangers_are_here.set()
        assert kept.getresponse().read()
        kept.request("GET", f"/{TOKEN}/api/ping")
        assert kept.getresponse().read()
        assert kept.sock.getsockname()[1] == number


@pytest.mark.parametrize("keep", ["close", "keep-alive"])
@pytest.mark.parametrize("told", [True, False], ids=["length", "chunked"])
def test_what_is_too_large_gets_an_answer(server, keep, told):
    """One that can be read: all of the body is taken before the connection is closed."""
    body = b"x" * 3_000_000
    with closing(http.client.HTTPConnection("127.0.0.1", server, timeout=LATE)) as connection:
        headers = {"Connection": keep}
        content = body if told else iter([body[:1_000_000]] * 3)
        address = f"/{TOKEN}/api/refit"
        connection.request("POST", address, content, headers, encode_chunked=not told)
        answer = connection.getresponse()
        assert answer.status == 413
        assert b"larger than 65536 bytes" in answer.read()
