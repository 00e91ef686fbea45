"""Fixtures of the viewer's tests: a small study, and a client that asks a real server."""

from __future__ import annotations

import dataclasses
import http.client
import json
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.viewer import page_files
from ivimkit.viewer.warm_up import WarmUp


@dataclass(frozen=True)
class Answer:
    """What the server said."""

    code: int
    headers: dict[str, str]
    body: bytes = field(repr=False)

    def json(self):
        return json.loads(self.body)

    def image(self):
        """The array of an image and its geometry."""
        return ik.io.image_of_bytes(self.body)


@dataclass(frozen=True)
class Client:
    """Sends requests as they are: no path is tidied up, no header added but those given."""

    url: str

    @property
    def port(self):
        return urlsplit(self.url).port

    @property
    def token(self):
        return urlsplit(self.url).path.strip("/")

    def send(self, method, path, body=None, headers=None):
        """Send a request to an absolute path; without Host in the headers, with the right one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {"Host": f"127.0.0.1:{self.port}", **(headers or {})}
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            for name, value in sent.items():
                connection.putheader(name, value)
            if body is not None and "Transfer-Encoding" not in sent:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            response = connection.getresponse()
            content = response.read()
        finally:
            connection.close()
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, content)

    def get(self, address, **headers):
        return self.send("GET", f"/{self.token}/{address}", headers=headers)

    def post(self, address, body, **headers):
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.send("POST", f"/{self.token}/{address}", content, headers)

    def error(self, answer_code, method, *arguments):
        """The sentence of a request that is refused with this code."""
        answer = getattr(self, method)(*arguments)
        assert answer.code == answer_code, answer.body
        return answer.json()["error"]


@pytest.fixture(scope="session")
def made():
    """A small abdomen with thirteen b-values."""
    return ik.simulate.phantom(shape=(24, 18, 2))


@pytest.fixture(scope="session")
def result(made):
    """The abdomen, fitted with standard deviations."""
    return ik.fit(made.dwi, uncertainty="curvature")


@pytest.fixture(scope="session")
def labels(made):
    """Its regions."""
    return ik.Labels(made.labels, made.label_names)


@pytest.fixture(scope="session")
def static(tmp_path_factory):
    """A page as small as can be, beside a secret."""
    home = tmp_path_factory.mktemp("viewer")
    (home / "secret.txt").write_text("not for everyone")
    (home / "static" / "assets").mkdir(parents=True)
    (home / "static" / "index.html").write_text("<!doctype html><title>page</title>")
    (home / "static" / "assets" / "index.js").write_text("// script")
    return home / "static"


@pytest.fixture(scope="session")
def open_client(static):
    """Function that shows results and returns a client; all viewers are closed at the end."""
    opened = []

    def _open(*results, **options):
        # Not for longer: other tests of the process may want the real page.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(page_files, "folder", lambda: Path(static))
            # It fits by every method, which takes longer than a test.
            patch.setattr(WarmUp, "begin", lambda _: None)
            viewer = ik.view(*results, open_browser=False, **options)
        opened.append(viewer)
        return Client(viewer.url)

    yield _open
    for viewer in opened:
        viewer.close()


@pytest.fixture(scope="session")
def client(open_client, result, labels):
    """A client of one result with regions."""
    return open_client(result, labels=labels)


@pytest.fixture
def drawing(made):
    """Two regions as a drawing: the lesion and the liver."""
    drawn = np.zeros(made.dwi.shape, np.uint8)
    drawn[made.region("lesion")] = 1
    drawn[made.region("liver")] = 2
    return drawn


@pytest.fixture
def phantom_fit(made):
    """Function that fits the abdomen and notes options as the command line does."""

    def _fit(organ=None, **options):
        fitted = ik.fit(made.dwi, **options)
        settings = dataclasses.replace(fitted.settings, organ=organ)
        return dataclasses.replace(fitted, settings=settings)

    return _fit
