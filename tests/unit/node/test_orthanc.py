"""The node and Orthanc, a widespread archive, on loopback: images in both directions, C-FIND,
C-MOVE, and the results in their study."""

from __future__ import annotations

import json
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from ivimkit.node import load_settings
from ivimkit.node.jobs import Jobs, JobState
from ivimkit.node.retrieval import Retrieval
from ivimkit.node.sender import Sender, SendError
from node_parts import (
    events,
    free_port,
    image,
    push,
    running,
    study_uid,
    wait_for,
    write_settings,
)

ORTHANC = shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")

pytestmark = [
    pytest.mark.skipif(ORTHANC is None, reason="Orthanc is not installed (Debian: orthanc)"),
    # pynetdicom leaves the socket of a call that nobody answers to the garbage collector.
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]


class Orthanc:
    """An archive in a separate process.

    Parameters
    ----------
    folder : Path
        Where it keeps its images.
    node_port : int
        Where it finds the node.
    """

    def __init__(self, folder: Path, node_port: int) -> None:
        self.port, self.http = free_port(), free_port()
        folder.mkdir()
        settings = {
            "Name": "archive of a test",
            "StorageDirectory": str(folder / "storage"),
            "IndexDirectory": str(folder / "storage"),
            "DicomAet": "ORTHANC",
            "DicomPort": self.port,
            "HttpPort": self.http,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": True,
            "DicomModalities": {"IVIMKIT": ["IVIMKIT", "127.0.0.1", node_port]},
            "Plugins": [],
        }
        path = folder / "orthanc.json"
        path.write_text(json.dumps(settings))
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [str(ORTHANC), str(path)], stdout=log, stderr=subprocess.STDOUT
            )

    def is_up(self) -> bool:
        """Whether it answers."""
        assert self._process.poll() is None, "Orthanc has ended"
        try:
            return bool(self.get("/system"))
        except OSError:
            return False

    def get(self, path: str, content: str | None = None) -> Any:
        """Return the JSON that it answers."""
        data = None if content is None else content.encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.http}{path}", data=data)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            return json.loads(answer.read())

    def instances(self, study: int) -> set[str]:
        """Return the UIDs of the images of a study."""
        for one in self.get("/studies?expand"):
            if one["MainDicomTags"]["StudyInstanceUID"] == study_uid(study):
                found = self.get(f"/studies/{one['ID']}/instances")
                return {item["MainDicomTags"]["SOPInstanceUID"] for item in found}
        return set()

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(10)


def _study(number: int):
    return [image(number, one) for one in (1, 2, 3)]


def _uids(*studies: int) -> set[str]:
    sent = {str(one.SOPInstanceUID) for study in studies for one in _study(study)}
    return sent | {uid.replace(".7777.", ".8888.") for uid in sent}


def test_orthanc_sends_to_the_node_and_finds_the_results_in_its_study(tmp_path):
    port = free_port()
    orthanc = Orthanc(tmp_path / "orthanc", port)
    try:
        wait_for(orthanc.is_up)
        path = write_settings(tmp_path, peers={"orthanc": orthanc.port, "mr1": 0})
        text = (
            path.read_text()
            .replace('send_to = ["pacs"]', "")
            .replace("port = 0", f"port = {port}", 1)
        )
        path.write_text(text)
        settings = load_settings(path)
        sender, peer = Sender("IVIMKIT", None), settings.peer[0]
        sender.echo(peer)
        for number in (1, 2):
            assert push(orthanc.port, *_study(number), called="ORTHANC") == [0, 0, 0]
        with running(path, expected=3):
            _orthanc_stores_at_the_node(orthanc, study=1)
            wait_for(lambda: orthanc.instances(1) == _uids(1), "results of study 1")
            _node_fetches(Retrieval(sender, peer), study=2)
            wait_for(lambda: orthanc.instances(2) == _uids(2), "results of study 2")
            wait_for(lambda: len(events(tmp_path, "done")) == 2)
            # The archive sends the results, too: nothing is fitted again.
            _orthanc_stores_at_the_node(orthanc, study=1)
            wait_for(lambda: len(events(tmp_path, "looked")) == 3)
        jobs = list(Jobs(settings.folder).every())
        assert [job.state for job in jobs] == [JobState.done] * 2
        assert {job.send_to for job in jobs} == {("orthanc",)}
    finally:
        orthanc.stop()


def _orthanc_stores_at_the_node(orthanc: Orthanc, study: int) -> None:
    ids = [
        one["ID"]
        for one in orthanc.get("/studies?expand")
        if one["MainDicomTags"]["StudyInstanceUID"] == study_uid(study)
    ]
    done = orthanc.get("/modalities/IVIMKIT/store", json.dumps(ids))
    assert done["FailedInstancesCount"] == 0


def _node_fetches(retrieval: Retrieval, study: int) -> None:
    (found,) = retrieval.find({"StudyInstanceUID": study_uid(study)})
    assert found.uid == study_uid(study)
    assert {one.uid for one in retrieval.find({"PatientID": "SECRET-4711"})} >= {
        study_uid(1),
        study_uid(2),
    }
    assert retrieval.find({"AccessionNumber": "nobody"}) == []
    assert retrieval.move(found.uid, "IVIMKIT") == 3
    with pytest.raises(SendError, match="it refused C-MOVE with status"):
        retrieval.move(found.uid, "STRANGER")
