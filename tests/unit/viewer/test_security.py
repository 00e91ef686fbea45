"""Nobody without the token gets anything; with it, only what the page needs."""

import re
import socket

import pytest

from ivimkit.viewer.security import new_token


def test_no_two_tokens_are_the_same_and_all_are_long():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/scene",
        "/index.html",
        "/{wrong}/",
        "/{wrong}/api/scene",
        "/{short}/api/scene",
        "/{token}x/api/scene",
        "//{token}/api/scene",
        "/x/../{token}/api/scene",
        "/%00/{token}/",
        "/{token}%00/api/scene",
        "/?{token}",
        "*",
    ],
)
def test_without_the_token_everything_is_forbidden(client, path):
    wrong = client.token[:-1] + ("a" if client.token[-1] != "a" else "b")
    address = path.format(token=client.token, wrong=wrong, short=client.token[:-1])
    for method in ("GET", "POST", "PUT", "OPTIONS"):
        answer = client.send(method, address)
        assert (answer.code, answer.body) == (403, b"Forbidden.")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:{port}",
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost",
        "[::1]:{port}",
    ],
)
def test_other_hosts_are_forbidden(client, host):
    answer = client.get("api/ping", Host=host.format(port=client.port))
    assert answer.code == 403


def test_both_names_of_this_machine_are_served(client):
    for host in ("127.0.0.1", "localhost"):
        assert client.get("api/ping", Host=f"{host}:{client.port}").json() == {"ok": True}


def test_a_request_without_a_host_or_with_two_is_refused(client):
    path = f"/{client.token}/api/ping"
    hosts = (f"Host: localhost:{client.port}", "Host: evil.example")
    for lines in ((), hosts):
        with socket.create_connection(("127.0.0.1", client.port), timeout=30) as raw:
            head = "\r\n".join([f"GET {path} HTTP/1.1", *lines, "Connection: close", "", ""])
            raw.sendall(head.encode())
            assert raw.recv(100).split()[1] in (b"400", b"403")


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1", ""])
def test_other_origins_are_forbidden(client, origin):
    assert client.post("api/refit", {}, Origin=origin).code == 403
    assert client.get("api/scene", Origin=origin).code == 403


def test_the_own_origin_is_served_and_nothing_invites_others(client):
    own = f"http://127.0.0.1:{client.port}"
    answer = client.get("api/ping", Origin=own)
    assert answer.code == 200
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD"])
def test_only_get_and_post(client, method):
    answer = client.send(method, f"/{client.token}/api/ping")
    assert (answer.code, answer.headers["allow"]) == (405, "GET, POST")


@pytest.mark.parametrize("address", ["", "api/scene", "nothing", "api/voxel?x=-1&y=0&z=0"])
def test_every_answer_has_the_headers(client, address):
    headers = client.get(address).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert "server" not in headers


@pytest.mark.parametrize(
    "name",
    [
        "../secret.txt",
        "assets/../../secret.txt",
        "..%2fsecret.txt",
        "%2e%2e/secret.txt",
        "..\\secret.txt",
        "..%5csecret.txt",
        "assets/%00",
        "/etc/passwd",
        "//etc/passwd",
        "assets",
        "assets/",
        "assets//index.js",
        "./index.html",
        "volumes/scan/../../../secret.txt",
        "volumes/0/..%2f..%2fsecret.nii",
    ],
)
def test_no_path_leads_out_of_the_page(client, name):
    answer = client.get(name)
    assert answer.code in (400, 404)
    assert b"not for everyone" not in answer.body
    assert b"root:" not in answer.body


def test_the_page_and_its_files_are_served(client):
    page, script = client.get(""), client.get("assets/index.js")
    assert b"<title>page</title>" in page.body
    assert page.headers["content-type"].startswith("text/html")
    assert script.headers["content-type"].startswith("text/javascript")
    assert client.get("index.html").body == page.body
    bare = client.send("GET", f"/{client.token}")
    assert (bare.code, bare.headers["location"]) == (307, f"/{client.token}/")


@pytest.mark.parametrize("address", ["api/refit", "api/regions", "api/regions.csv"])
def test_large_requests_are_refused(client, address):
    limit = 8 * 24 * 18 * 2 + (1 << 16)
    assert "larger than" in client.error(413, "post", address, b"0" * (limit + 1))


def test_a_large_request_that_hides_its_size_is_refused(client):
    body = b"".join(b"2710\r\n" + b"0" * 10000 + b"\r\n" for _ in range(8)) + b"0\r\n\r\n"
    path = f"/{client.token}/api/refit"
    answer = client.send("POST", path, body, {"Transfer-Encoding": "chunked"})
    assert answer.code == 413
