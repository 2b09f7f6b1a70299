"""The server behind the page: one video at a time, whatever the number of tabs.

    POST   /api/video?name=NAME    the body is the file; 201, or 409 while another one is open
    GET    /api/video              {"video": ... or null, "limit": bytes, "colours": of the targets, in turn,
                                   "trackers": names}
    DELETE /api/video              closes it, and removes the file and all results
    GET    /api/frame/I.jpg        a frame, at most 960 pixels long; header X-Time: seconds
    POST   /api/target             {"frame": I, "target": K or null, "box": [x, y, w, h] or "polygon": [[x, y], ...],
                                   "tracker": name or null, of a new target}
    DELETE /api/target/K
    POST   /api/pause              {"paused": true or false}
    GET    /api/results?since=N    {"video": ..., "changes": [...], "next": N, "version": of the last change}
    POST   /api/download/NAME      begins to make overlay.mp4, masks.zip or boxes.csv; the video's "downloads" tell when
    GET    /api/download/NAME      the file

All but the first two take `video=ID`, too, and answer 409 if that is not the video that is open. Pixels are those of
the video, from 0. Errors are {"error": sentence}.
"""

from __future__ import annotations

import re
import secrets
import shutil
import unicodedata
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.requests import ClientDisconnect

from d3s_vot.errors import D3SError
from d3s_vot.regions import Box, Polygon
from d3s_vot.tracker import Tracker
from d3s_vot.video.overlay import COLOURS
from d3s_vot.web.downloads import KINDS, Downloads
from d3s_vot.web.frames import Video
from d3s_vot.web.guard import Guard
from d3s_vot.web.session import Session

STATIC = Path(__file__).parent / "static"
MEBI = 2**20
NAME = 120  # letters of a file's name that are kept
POINTS = 1000  # corners of a polygon, at most

Corner = tuple[float, float]
router = APIRouter(prefix="/api")


class Studio:
    """What the server holds: trackers by name, a private folder, and perhaps a video."""

    def __init__(self, trackers: Mapping[str, Tracker], limit: int, folder: Path) -> None:
        self.trackers, self.limit, self.folder = trackers, limit, folder
        self.session: Session | None = None
        self.downloads: Downloads | None = None
        self.place: Path | None = None  # of what belongs to the video
        self.is_receiving = False

    def open(self, path: Path, name: str) -> None:
        """Begin with a video; raises `InputError`."""
        session = Session(Video(path, name), self.trackers)
        self.downloads, self.session = Downloads(session, path.parent), session
        self.place = path.parent

    def close(self) -> None:
        """Forget the video, if there is one, and remove its files."""
        session, downloads, place = self.session, self.downloads, self.place
        self.session = self.downloads = self.place = None
        if downloads is not None:
            downloads.close()
        if session is not None:
            session.close()
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)

    def state(self) -> dict[str, Any] | None:
        """The video's state; None: there is none."""
        session, downloads = self.session, self.downloads
        if session is None or downloads is None:
            return None
        return {**session.state(), "downloads": downloads.state()}


def create_app(trackers: Mapping[str, Tracker], limit: int, host: str = "127.0.0.1") -> FastAPI:
    """The server as an ASGI application.

    Args:
        trackers: one or more by name, which give forks to the targets; the first is the page's choice.
        limit: MiB that a video may have.
        host: name or address that the server is bound to.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with TemporaryDirectory(prefix="d3s-vot-") as folder:  # for nobody else to read
            app.state.studio = studio = Studio(trackers, limit * MEBI, Path(folder))
            try:
                yield
            finally:
                await run_in_threadpool(studio.close)

    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(router)
    app.mount("/", StaticFiles(directory=STATIC, html=True))
    app.add_middleware(Guard, host=host)
    for kind in (D3SError, RequestValidationError, StarletteHTTPException):
        app.add_exception_handler(kind, _explain)
    return app


async def _explain(request: Request, error: Exception) -> JSONResponse:
    """An error as a sentence."""
    if isinstance(error, StarletteHTTPException):
        status, text = error.status_code, str(error.detail)
    elif isinstance(error, RequestValidationError):
        first = error.errors()[0]
        status, text = 400, f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    else:
        status, text = 400, str(error)
    return JSONResponse({"error": text}, status)


def _studio(request: Request) -> Studio:
    found: Studio = request.app.state.studio
    return found


Place = Annotated[Studio, Depends(_studio)]


def _current(studio: Place, video: str | None = None) -> Session:
    """The session of the open video."""
    if studio.session is None:
        raise HTTPException(409, "no video is open; choose one first")
    if video not in (None, studio.session.id):
        raise HTTPException(409, "another video was opened meanwhile; load the page again")
    return studio.session


Current = Annotated[Session, Depends(_current)]


@router.get("/video")
def get_video(studio: Place) -> dict[str, Any]:
    colours = [f"#{red:02x}{green:02x}{blue:02x}" for red, green, blue in COLOURS]
    return {"video": studio.state(), "limit": studio.limit, "colours": colours, "trackers": list(studio.trackers)}


@router.post("/video", status_code=201)
async def post_video(request: Request, studio: Place, name: str = "video") -> dict[str, Any]:
    if studio.session is not None:
        raise HTTPException(409, f"{studio.session.video.name} is open; close it before you open another video")
    if studio.is_receiving:
        raise HTTPException(409, "another video is just being sent; wait for it, or close its page")
    studio.is_receiving = True
    place = studio.folder / secrets.token_hex(8)
    try:
        place.mkdir(mode=0o700)
        await _receive(request, place / "video", studio.limit)
        await run_in_threadpool(studio.open, place / "video", shown_name(name))
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    finally:
        studio.is_receiving = False
    return {"video": studio.state()}


async def _receive(request: Request, path: Path, limit: int) -> None:
    """Write the body to a file, as far as it is allowed."""
    length = int(request.headers.get("content-length", "0"))
    large = HTTPException(413, f"the video is larger than {limit // MEBI} MiB; start d3s-vot web with a --limit above")
    full = HTTPException(507, f"there is no room for the video in {path.parents[2]}; set TMPDIR to another folder")
    if length > limit:
        raise large
    if length > shutil.disk_usage(path.parent).free:
        raise full
    received = 0
    try:
        with path.open("wb") as file:
            async for chunk in request.stream():
                received += len(chunk)
                if received > limit:
                    raise large
                await run_in_threadpool(file.write, chunk)
    except ClientDisconnect as error:
        raise HTTPException(400, "the video was not sent to its end") from error
    except OSError as error:
        raise full from error


def shown_name(name: str) -> str:
    """A file's name as it is shown: without folders and what cannot be seen; it is never a path here.

    >>> shown_name("../../etc/x")
    'x'
    """
    last = re.split(r"[\\/]", name)[-1]
    return "".join(letter for letter in last if unicodedata.category(letter)[0] != "C")[:NAME].strip() or "video"


@router.delete("/video")
def delete_video(studio: Place, session: Current) -> dict[str, Any]:
    studio.close()
    return {"video": None}


@router.get("/frame/{index}.jpg")
def get_frame(session: Current, index: int) -> Response:
    picture = session.video.picture(index)
    return Response(picture, media_type="image/jpeg", headers={"X-Time": f"{session.video.time(index):.4f}"})


class Drawing(BaseModel):
    """A target on a frame."""

    frame: int
    target: int | None = None
    box: tuple[float, float, float, float] | None = None
    polygon: Annotated[list[Corner], Field(max_length=POINTS)] | None = None
    tracker: str | None = None


@router.post("/target", status_code=201)
def post_target(session: Current, drawing: Drawing) -> dict[str, int]:
    if (drawing.box is None) == (drawing.polygon is None):
        raise HTTPException(400, "a target needs a box or a polygon, and not both")
    region = Polygon(drawing.polygon or []) if drawing.box is None else Box(*drawing.box)
    return {"target": session.draw(drawing.target, drawing.frame, region, drawing.tracker)}


@router.delete("/target/{number}")
def delete_target(session: Current, number: int) -> dict[str, int]:
    session.remove(number)
    return {"target": number}


class Pause(BaseModel):
    """Whether the tracking rests."""

    paused: bool


@router.post("/pause")
def post_pause(session: Current, pause: Pause) -> dict[str, bool]:
    session.pause(pause.paused)
    return {"paused": pause.paused}


@router.get("/results")
def get_results(studio: Place, session: Current, since: int = 0) -> dict[str, Any]:
    changes, following = session.changes(max(since, 0))
    return {"video": studio.state(), "changes": changes, "next": following, "version": session.version}


def _download(studio: Place, session: Current, name: str) -> Downloads:
    if name not in KINDS or studio.downloads is None:
        raise HTTPException(404, f"there is no download {name}; there are {', '.join(KINDS)}")
    return studio.downloads


@router.post("/download/{name}", status_code=202)
def post_download(
    studio: Place, session: Current, downloads: Annotated[Downloads, Depends(_download)], name: str
) -> dict[str, Any]:
    if not session.video.complete:
        raise HTTPException(409, "the video is still being read; try again when that is done")
    boxes_alone = [each for each in session.followers() if each and not studio.trackers[each].model.gives_masks]
    if name == "masks.zip" and boxes_alone:
        raise HTTPException(409, f"{name} takes masks, and {boxes_alone[0]} gives boxes alone; take another file")
    downloads.make(name)
    return downloads.state()[name]


@router.get("/download/{name}")
def get_download(
    session: Current, downloads: Annotated[Downloads, Depends(_download)], name: str
) -> FileResponse:
    path = downloads.path(name)
    if path is None:
        raise HTTPException(409, f"{name} is not made yet; ask for it with POST and wait until it is ready")
    stem = re.sub(r"\W+", "_", Path(session.video.name).stem, flags=re.ASCII).strip("_") or "video"
    return FileResponse(path, filename=f"{stem}-{name}")
