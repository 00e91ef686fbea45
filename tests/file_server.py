"""FileServer: a folder at an address of this machine, whose answers can go wrong."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

__all__ = ["file_server"]


class _Handler(SimpleHTTPRequestHandler):
    """Serves files without ranges; ``/denied/`` and ``/cut/`` say what happens to others."""

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        if self.path.startswith("/denied/"):
            self.send_error(403)
        elif self.path.startswith("/page/"):
            self._send(b"<!doctype html><title>Log in</title>", 0)
        elif self.path.startswith("/cut/"):
            name = Path(self.translate_path(self.path)).name
            file = Path(self.directory, name)
            if not file.is_file():
                self.send_error(404)
                return
            content = file.read_bytes()
            if name.endswith(".gz"):
                self._send(content[: len(content) // 2], len(content))
            else:
                self._send(content, len(content))
        else:
            super().do_GET()

    def _send(self, content: bytes, claimed: int) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(max(claimed, len(content))))
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = True


@contextmanager
def file_server(folder: Path) -> Iterator[str]:
    """Serve a folder; the address of it is ``http://127.0.0.1:PORT``."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    server.daemon_threads = True
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
