"""Routes: the addresses of the server, below the token, see `ivimkit.viewer.security`."""

from __future__ import annotations

import json
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from ivimkit.errors import InputError, IvimkitWarning, OptionError
from ivimkit.viewer.drawn_regions import Drawing, describe_regions, drawn_mask, region_csv
from ivimkit.viewer.dropped_result import dropped_result
from ivimkit.viewer.json_numbers import from_json, to_json
from ivimkit.viewer.loaded_labels import LoadedLabels
from ivimkit.viewer.opened_image import opened_image
from ivimkit.viewer.page_files import INDEX
from ivimkit.viewer.request_body import read_body
from ivimkit.viewer.result_difference import difference_doubtful_image, difference_image
from ivimkit.viewer.scene import describe_scene
from ivimkit.viewer.security import REPORT_POLICY
from ivimkit.viewer.study import Study
from ivimkit.viewer.study_images import (
    acquired_image,
    doubtful_image,
    grade_image,
    label_image,
    map_image,
    scan_image,
    volume_image,
)
from ivimkit.viewer.study_report import StudyReports
from ivimkit.viewer.user_mask import placed_mask
from ivimkit.viewer.voxel_answer import describe_voxel
from ivimkit.viewer.voxel_refit import refit_voxel

__all__ = ["Routes", "application"]

_SMALL = 1 << 16
_MAX_MASK_BYTES = 1 << 28
_MAX_RESULT_BYTES = 1 << 29
# In addition to the array, a drawing has a header and what the page adds to it.
_HEADER = 1 << 16
_NIFTI = "application/octet-stream"

Answer = Callable[[Request], Awaitable[Response]]


@dataclass(eq=False)
class Routes:
    """The handlers of all requests about a study.

    Parameters
    ----------
    study : Study
        The study; results that are dropped on the page are added to it.
    files : mapping of str to Path
        The files of the page, by their addresses, see `ivimkit.viewer.page_files`.
    when_shown : callable
        Called after each image that was sent.
    """

    study: Study
    files: Mapping[str, Path] = field(repr=False)
    when_shown: Callable[[], None] = field(default=lambda: None, repr=False)
    reports: StudyReports = field(init=False, repr=False)
    _scene: list[bytes] = field(default_factory=list, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self.reports = StudyReports(self.study)

    @property
    def largest_drawing(self) -> int:
        """Maximum number of bytes of a drawing: one float64 per voxel."""
        x, y, z = self.study.grid
        return 8 * x * y * z + _HEADER

    async def page(self, request: Request) -> Response:
        """Send a file of the page."""
        name = request.path_params.get("name") or INDEX
        if name not in self.files:
            raise HTTPException(404, "there is no such file")
        path = self.files[name]
        kind = mimetypes.guess_type(path.name)[0] or _NIFTI
        return FileResponse(path, media_type=_KINDS.get(path.suffix, kind))

    async def ping(self, request: Request) -> Response:
        """Report that the server is running."""
        return _json({"ok": True})

    async def scene(self, request: Request) -> Response:
        """Send the scene."""
        return _bytes(await run_in_threadpool(self.prepare), "application/json")

    def prepare(self) -> bytes:
        """Return the scene as JSON; it is built once."""
        with self._lock:
            if not self._scene:
                self._scene.append(to_json(describe_scene(self.study)))
            return self._scene[0]

    async def scan_volume(self, request: Request) -> Response:
        """Send the image of a b-value."""
        return await self._image(scan_image, request, "number")

    async def single_volume(self, request: Request) -> Response:
        """Send a volume of the scan."""
        return await self._image(volume_image, request, "number")

    async def acquired_volume(self, request: Request) -> Response:
        """Send a volume of the scan before the steps."""
        return await self._image(acquired_image, request, "number")

    async def map_volume(self, request: Request) -> Response:
        """Send a map."""
        return await self._image(map_image, request, "number", "name")

    async def grade_volume(self, request: Request) -> Response:
        """Send the status in its colours."""
        return await self._image(grade_image, request, "number")

    async def doubtful_volume(self, request: Request) -> Response:
        """Send the mask of unreliable voxels of a map."""
        return await self._image(doubtful_image, request, "number", "name")

    async def difference_volume(self, request: Request) -> Response:
        """Send the difference of a map between two results."""
        return await self._image(difference_image, request, "number", "name")

    async def difference_doubtful(self, request: Request) -> Response:
        """Send the mask of unreliable voxels of a difference."""
        return await self._image(difference_doubtful_image, request, "number", "name")

    async def label_volume(self, request: Request) -> Response:
        """Send the regions."""
        return self._nifti(await run_in_threadpool(label_image, self.study))

    async def _image(self, make: Callable[..., bytes], request: Request, *which: str) -> Response:
        names = [request.path_params[name] for name in which]
        # Of a large scan the page has every few voxels, and asks for the value of any other.
        at = _voxel(request) if request.query_params else None
        return self._nifti(await run_in_threadpool(make, self.study, *names, at))

    def _nifti(self, image: bytes) -> Response:
        response = _bytes(image, _NIFTI)
        response.background = BackgroundTask(self.when_shown)
        return response

    async def voxel(self, request: Request) -> Response:
        """Send the details of a voxel."""
        answer = await run_in_threadpool(describe_voxel, self.study, _voxel(request))
        return _json(answer)

    async def refit(self, request: Request) -> Response:
        """Refit a voxel with other settings."""
        asked = from_json(await read_body(request, _SMALL))
        return _json(await run_in_threadpool(refit_voxel, self.study, asked))

    async def regions(self, request: Request) -> Response:
        """Send the statistics of a drawing."""
        drawing = await self._drawing(request)
        return _json(await run_in_threadpool(describe_regions, self.study, drawing))

    async def regions_csv(self, request: Request) -> Response:
        """Send the table of a drawing as a file."""
        drawing = await self._drawing(request)
        text = await run_in_threadpool(region_csv, self.study, drawing)
        response = _bytes(text.encode("utf-8"), "text/csv")
        response.headers["Content-Disposition"] = 'attachment; filename="regions.csv"'
        return response

    async def drawing(self, request: Request) -> Response:
        """Send a drawing back as a file, on the whole grid of the scan."""
        drawing = await self._drawing(request)
        return _bytes(await run_in_threadpool(drawn_mask, self.study, drawing), _NIFTI)

    async def given_labels(self, request: Request) -> Response:
        """Send the regions of a large scan, to be measured."""
        return _loaded(await run_in_threadpool(LoadedLabels.given, self.study))

    async def labels(self, request: Request) -> Response:
        """Send a mask of the user back, on the grid of the scan."""
        body = await read_body(request, _MAX_MASK_BYTES)
        if not self.study.shown.is_whole:
            return _loaded(await run_in_threadpool(LoadedLabels.of_mask, self.study, body))
        mask = await run_in_threadpool(placed_mask, self.study, body)
        return _noted(_bytes(mask.image(self.study), _NIFTI), mask.note, mask.names)

    async def opened(self, request: Request) -> Response:
        """Send an image that was opened in the page back, on the grid of the scan."""
        body = await read_body(request, _MAX_MASK_BYTES)
        image, note = await run_in_threadpool(opened_image, self.study, body)
        return _noted(_bytes(image, _NIFTI), note, {})

    async def result(self, request: Request) -> Response:
        """Take one more result, from the files of its folder; the page begins anew with it."""
        body = await read_body(request, _MAX_RESULT_BYTES)
        return _json({"name": await run_in_threadpool(self._add, body)})

    def _add(self, body: bytes) -> str:
        name, result = dropped_result(body)
        with self._lock:
            self.study = self.study.with_result(result, name)
            self.reports = StudyReports(self.study)
            self._scene.clear()
            return self.study.names[-1]

    async def report(self, request: Request) -> Response:
        """Send the report of a result."""
        number = self.study.result(request.path_params["number"])
        page = await run_in_threadpool(self.reports.page, number)
        response = _bytes(page.encode("utf-8"), "text/html; charset=utf-8")
        response.headers["Content-Security-Policy"] = REPORT_POLICY
        return response

    async def _drawing(self, request: Request) -> Drawing:
        body = await read_body(request, self.largest_drawing)
        query = request.query_params
        # The labels of the whole grid are behind the drawing.
        own = _whole(request, "drawn") if "drawn" in query else len(body)
        return Drawing(
            body[:own],
            loaded=body[own:],
            result=self.study.result(query.get("result", "0")),
            names=query.get("names", ""),
            reference=query.get("reference"),
            most=self.largest_drawing,
        )

    def table(self) -> list[Route]:
        """Return all addresses."""
        get, post = partial(_route, "GET"), partial(_route, "POST")
        return [
            get("/api/ping", self.ping),
            get("/api/scene", self.scene),
            get("/api/voxel", self.voxel),
            post("/api/refit", self.refit),
            post("/api/regions", self.regions),
            post("/api/regions.csv", self.regions_csv),
            post("/api/regions.nii.gz", self.drawing),
            get("/api/labels", self.given_labels),
            post("/api/labels", self.labels),
            post("/api/image", self.opened),
            post("/api/result", self.result),
            get("/volumes/labels.nii", self.label_volume),
            get("/volumes/scan/{number}.nii", self.scan_volume),
            get("/volumes/single/{number}.nii", self.single_volume),
            get("/volumes/acquired/{number}.nii", self.acquired_volume),
            get("/volumes/difference/{number}/{name}.nii", self.difference_volume),
            get("/volumes/difference/{number}/doubtful/{name}.nii", self.difference_doubtful),
            get("/volumes/{number}/grades.nii", self.grade_volume),
            get("/volumes/{number}/doubtful/{name}.nii", self.doubtful_volume),
            get("/volumes/{number}/{name}.nii", self.map_volume),
            get("/report/{number}", self.report),
            get("/", self.page),
            get("/{name:path}", self.page),
        ]


_KINDS = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".md": "text/plain",
    ".wasm": "application/wasm",
}


def application(routes: Routes) -> Starlette:
    """Return the application of these routes, without the guard."""
    return Starlette(
        routes=routes.table(),
        exception_handlers={
            InputError: _wrong_input,
            IvimkitWarning: _wrong_input,
            HTTPException: _refused,
            Exception: _fault,
        },
    )


def _route(method: str, path: str, answer: Answer) -> Route:
    return Route(path, answer, methods=[method])


def _voxel(request: Request) -> list[int]:
    return [_whole(request, name) for name in ("x", "y", "z")]


def _whole(request: Request, name: str) -> int:
    text = request.query_params.get(name, "")
    try:
        return int(text)
    except ValueError:
        raise OptionError(f"{name} is {text[:40]!r}; expected a whole number") from None


def _json(content: Any, code: int = 200) -> Response:
    return _bytes(to_json(content), "application/json", code)


def _bytes(content: bytes, kind: str, code: int = 200) -> Response:
    return Response(content, code, media_type=kind)


def _noted(response: Response, note: str, names: Mapping[int, str]) -> Response:
    # Headers are latin-1.
    if note:
        response.headers["X-Note"] = note.encode("ascii", "replace").decode()
    if names:
        response.headers["X-Names"] = json.dumps({str(key): name for key, name in names.items()})
    return response


def _loaded(labels: LoadedLabels) -> Response:
    response = _noted(_bytes(labels.image, _NIFTI), labels.note, labels.names)
    response.headers["X-Numbers"] = ",".join(map(str, labels.numbers))
    return response


async def _wrong_input(request: Request, error: Exception) -> Response:
    return _json({"error": str(error)}, 400)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return _json({"error": error.detail}, error.status_code)


async def _fault(request: Request, error: Exception) -> Response:
    # The server writes the traceback to stderr.
    text = f"internal error: {type(error).__name__}: {error}. Please report it"
    return _json({"error": text}, 500)
