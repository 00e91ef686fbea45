"""Parts for tests of the node: tiny studies, stand-ins for its child processes, and peers.

The stand-ins are started as processes, as the real ones are, but take 20 ms: what is tested is the
node.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.presentation import build_context
from pynetdicom.sop_class import MRImageStorage, Verification

from fork_server import start_process
from ivimkit.node import Node, load_settings
from ivimkit.node.commands import Commands
from ivimkit.node.connections import hang_up, mend

STAND_IN = Path(__file__).with_name("node_stand_in.py")
ROOT_UID = "1.2.826.0.1.3680043.8.498"
WAIT_S = 120.0
"""No wait of a test takes nearly as long: it is there for machines that are busy."""


def image(study: int, number: int, *, series: int = 1, content: bytes = b"\0\0") -> Dataset:
    """Return a tiny MR image; numbers stand for UIDs."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = MRImageStorage
    made.SOPInstanceUID = f"{ROOT_UID}.7777.{study}.{series}.{number}"
    made.StudyInstanceUID = study_uid(study)
    made.SeriesInstanceUID = series_uid(study, series)
    made.PatientName = "Doe^Jane"
    made.PatientID = "SECRET-4711"
    made.Modality = "MR"
    made.SeriesDescription = "ep2d_ivim"
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 16, 16, 15
    made.SamplesPerPixel, made.PixelRepresentation = 1, 0
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = content
    return made


def study_uid(study: int) -> str:
    """Return the UID of a study of `image`."""
    return f"{ROOT_UID}.1.{study}"


def series_uid(study: int, series: int = 1) -> str:
    """Return the UID of a series of `image`."""
    return f"{ROOT_UID}.2.{study}.{series}"


def wait_for(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait until a condition holds; return its value."""
    end = time.monotonic() + WAIT_S
    while not (found := condition()):
        assert time.monotonic() < end, f"waited for {what or condition}"
        time.sleep(0.01)
    return found


def free_port() -> int:
    """Return a port that is free at this moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def write_settings(
    folder: Path,
    *,
    node: str = "",
    peers: dict[str, int] | None = None,
    more: str = "",
    send_to: str = '["pacs"]',
) -> Path:
    """Write a settings file; return its path.

    Parameters
    ----------
    folder : Path
        Where to; the node works in a folder ``node`` there.
    node : str
        More lines of [node].
    peers : dict
        Ports of peers by their names, which are also their AE titles; 0 for one that only sends.
    more : str
        More tables.
    send_to : str
        Of the rule.
    """
    lines = [
        "[node]",
        'folder = "node"',
        "port = 0",
        "quiet_s = 0.1",
        "free_gb = 0",
        "retry_min = [0.001]",
        node,
    ]
    for name, port in (peers or {"mr1": 0, "pacs": 0}).items():
        lines += [
            "[[peer]]",
            f'name = "{name}"',
            f'ae_title = "{name.upper()}"',
            'address = "127.0.0.1"',
            f"port = {port}",
        ]
    lines += ["[[rule]]", 'when = { description = "*ivim*" }', f"send_to = {send_to}", more]
    path = folder / "node.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def stand_ins(expected: int, mode: Path) -> Commands:
    """Return commands that take any series of this many images for a scan.

    Parameters
    ----------
    expected : int
        Images of a whole series.
    mode : Path
        File with one word that says how the fit goes wrong; missing if it does not.
    """
    program = [sys.executable, "-S", "-E", "-I", str(STAND_IN)]
    return Commands(
        inspect=lambda folder, out: [*program, "inspect", str(folder), str(out), str(expected)],
        fit=lambda job, rule, folder, out: [
            *program,
            "fit",
            str(folder.input),
            str(out),
            str(mode),
        ],
    )


@contextlib.contextmanager
def running(settings: Path, *, expected: int = 2, **options: Any) -> Iterator[Node]:
    """Run a node with stand-ins in this process."""
    node = Node(
        load_settings(settings),
        commands=stand_ins(expected, settings.with_name("mode")),
        pulse_s=0.02,
        **options,
    )
    fault: list[BaseException] = []
    node.start()

    def run() -> None:
        try:
            node.run()
        except BaseException as error:  # noqa: BLE001 - raised below
            fault.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield node
    finally:
        node.stop()
        thread.join()
    if fault:
        raise fault[0]


@dataclass
class NodeProcess:
    """A node with stand-ins in a separate process."""

    settings: Path
    expected: int = 2
    process: subprocess.Popen[str] | None = None
    port: int = 0

    def start(self) -> NodeProcess:
        """Start it, and wait until it listens."""
        self.process = start_process(
            "import sys; from node_parts import run_node; run_node(*sys.argv[1:])",
            [self.settings, self.expected],
            imports=("node_parts",),
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        return self

    def kill(self) -> None:
        """End it without any warning."""
        assert self.process is not None
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@dataclass
class Archive:
    """A peer that receives images, as a PACS does."""

    name: str = "PACS"
    port: int = field(default_factory=free_port)
    status: int = 0x0000
    received: list[str] = field(default_factory=list)
    hold: threading.Event | None = None
    _passes: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    _server: Any = None

    def start(self, tls: Any = None, contexts: list[Any] | None = None) -> Archive:
        """Listen."""
        entity = AE(self.name)
        entity.supported_contexts = contexts or [
            build_context(MRImageStorage),
            build_context(Verification),
        ]
        self._server = entity.start_server(
            ("127.0.0.1", self.port),
            block=False,
            ssl_context=tls,
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
        )
        return self

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            for association in self._server.active_associations:
                association.abort()
            self._server.shutdown()
            self._server = None

    def let_through(self, number: int) -> None:
        """Acknowledge so many images, although others are held back."""
        self._passes.release(number)

    def _store(self, event: evt.Event) -> int:
        if self.hold is not None and not self.hold.is_set():
            while not (self._passes.acquire(timeout=0.01) or self.hold.is_set()):
                continue
        if self.status == 0x0000:
            self.received.append(str(event.request.AffectedSOPInstanceUID))
        return self.status


@contextlib.contextmanager
def connected(
    port: int,
    *,
    calling: str = "MR1",
    called: str = "IVIMKIT",
    tls: Any = None,
    storage: tuple[str, ...] = (),
) -> Iterator[Any]:
    """Connect to a node as one of its peers, to send MR images and what else is named."""
    entity = AE(calling)
    entity.connection_timeout = WAIT_S
    association = entity.associate(
        "127.0.0.1",
        port,
        contexts=[build_context(one) for one in (MRImageStorage, Verification, *storage)],
        ae_title=called,
        tls_args=None if tls is None else (tls, "localhost"),
        evt_handlers=[(evt.EVT_CONN_OPEN, lambda event: mend(event.assoc))],
    )
    try:
        yield association
    finally:
        hang_up(association)


def push(port: int, *images: Dataset, **options: Any) -> list[int]:
    """Send images to a node; return the status of each."""
    with connected(port, **options) as association:
        assert association.is_established
        return [int(association.send_c_store(one).Status) for one in images]


def log_of(folder: Path) -> list[dict[str, Any]]:
    """Return the lines of the log of a node."""
    path = folder / "node" / "node.log"
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def events(folder: Path, name: str) -> list[dict[str, Any]]:
    """Return the lines of the log about one kind of event."""
    return [line for line in log_of(folder) if line["event"] == name]


def run_node(settings: str, expected: str) -> None:
    """Run a node with stand-ins until it is told to end, or killed; print its port."""
    path = Path(settings)
    node = Node(
        load_settings(path),
        commands=stand_ins(int(expected), path.with_name("mode")),
        pulse_s=0.02,
    )
    node.start()
    sys.stdout.write(f"{node.port}\n")
    sys.stdout.flush()
    signal.signal(signal.SIGTERM, lambda *_: node.stop())
    node.run()
    os._exit(0)
