"""The TraX process that the VOT toolkit starts: `python -m d3s_vot.vot`.

The model is loaded before the handshake, once; every 'initialize' of the session starts it on new targets, one or
several. A target given as rectangle, polygon or mask is answered in kind, with the property `confidence` (0..1).

Settings are environment variables, all optional:
    D3S_VOT_TRACKER: name of a tracker, see `d3s-vot trackers`, or a file of weights; default: "D3S".
    D3S_VOT_WEIGHTS: the same, by its former name.
    D3S_VOT_TRUNK: file of the ImageNet trunk, for weights whose trunk comes from no package.
    D3S_VOT_PRESET: "exact" (the default) or "fast".
    D3S_VOT_RULES: a name of the tracker's rules, such as "published", or "weights", those of the weights (the default).
    D3S_VOT_DEVICE: "auto" (the default), "cpu", "cuda", "cuda:1" ...
    D3S_VOT_THREADS: number of CPU threads, 1 or more; default: PyTorch's choice.
    D3S_VOT_UNSEEN: what is answered where the tracker does not see its target: "box", a region like any other, of a
        mask the box filled; "doubt", the same, with a confidence below that of every frame in which it is seen;
        "empty", a mask of no pixels. Default: "empty" in a session of several targets, else "box".
    D3S_VOT_MULTIOBJECT: "1" (the default), the client may give several targets at once, or "0".
    D3S_VOT_LOG: file that errors, warnings and all other text are appended to; default: other text than
        errors is dropped. Errors always go to stderr, where the toolkit picks them up.

Exit code 0: the client ended the session. 1: an error ended it. 2: a setting cannot be used; nothing was said
to the client, one sentence says why on stderr.

Source: the TraX protocol (L. Cehovin, "TraX: The visual Tracking eXchange protocol and library", 2017).
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trax.server
from trax._ctypes import trax_server_setup_file_v
from trax.image import Image as TraxImage
from trax.region import Region as TraxRegion

import d3s_vot
from d3s_vot.compute.threads import use_threads
from d3s_vot.errors import D3SError, InputError
from d3s_vot.trax_session import UNSEEN, Session


@dataclass(frozen=True)
class Settings:
    """The settings of the process, read from the environment."""

    tracker: str
    trunk: Path | None
    preset: str
    rules: str
    device: str
    threads: int | None
    log: Path | None
    unseen: str | None = None
    several: bool = True

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Reads and checks D3S_VOT_*; an empty value counts as not given.

        Raises:
            InputError: a setting has a value that it cannot have, or two trackers are named.
        """
        threads = environment.get("D3S_VOT_THREADS") or None
        if threads is not None and not (threads.isascii() and threads.isdigit() and int(threads) > 0):
            raise InputError(f"D3S_VOT_THREADS is {threads!r}; give a whole number of threads, 1 or more")
        log = environment.get("D3S_VOT_LOG") or None
        unseen = environment.get("D3S_VOT_UNSEEN") or None
        if unseen is not None and unseen not in UNSEEN:
            raise InputError(f"D3S_VOT_UNSEEN is {unseen!r}; give one of {', '.join(UNSEEN)}")
        several = environment.get("D3S_VOT_MULTIOBJECT") or "1"
        if several not in ("0", "1"):
            raise InputError(f"D3S_VOT_MULTIOBJECT is {several!r}; give 1 or 0")
        tracker, former = (environment.get(f"D3S_VOT_{name}") for name in ("TRACKER", "WEIGHTS"))
        if tracker and former and tracker != former:
            raise InputError(f"D3S_VOT_TRACKER is {tracker!r} and D3S_VOT_WEIGHTS {former!r}; give one of the two")
        return cls(
            tracker=tracker or former or "D3S",
            trunk=Path(trunk) if (trunk := environment.get("D3S_VOT_TRUNK")) else None,
            preset=environment.get("D3S_VOT_PRESET") or "exact",
            rules=environment.get("D3S_VOT_RULES") or "weights",
            device=environment.get("D3S_VOT_DEVICE") or "auto",
            threads=None if threads is None else int(threads),
            log=None if log is None else Path(log),
            unseen=unseen,
            several=several == "1",
        )


@contextmanager
def private_streams(log: Path | None) -> Iterator[tuple[int, Callable[[str], None]]]:
    """Gives stdout to the protocol alone: a half-written line of other text would hang it.

    From here on descriptor 1, and inside also 2, lead to the log or nowhere; so does what Python, C and C++
    print. Descriptor 1 stays there, because C's buffers are written out when the process ends.

    Args:
        log: file to append to; None: text is dropped.

    Yields:
        A descriptor of the real stdout, and a function that writes a text to the real stderr and the log.

    Raises:
        InputError: the log cannot be written.
    """
    try:
        sink = os.open(log or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    except OSError as error:
        raise InputError(
            f"D3S_VOT_LOG {str(log)!r} cannot be written: {error.strerror}; name another file"
        ) from None
    stdout, stderr = os.dup(1), os.dup(2)
    os.dup2(sink, 1)
    os.dup2(sink, 2)

    def report(text: str) -> None:
        line = (text.rstrip("\n") + "\n").encode(errors="replace")  # whole lines only
        for descriptor in (sink, stderr):
            with suppress(OSError):  # a full disk, or a client that was killed and reads no more
                os.write(descriptor, line)

    try:
        yield stdout, report
    finally:
        sys.stderr.flush()
        os.dup2(stderr, 2)  # for the traceback of what went wrong before the session


def connect(stdout: int, name: str, several: bool) -> trax.server.Server:
    """Shakes hands with the client over stdin and the given descriptor, as the tracker of that name.

    `several` says that the client may give several targets at once.

    `trax.server.Server` always takes C's stdout, which is the log's by now; libtrax's own call for other
    descriptors is put in the place of the one that it would make.
    """
    original = trax.server.trax_server_setup_v
    trax.server.trax_server_setup_v = lambda metadata, logger, flags: trax_server_setup_file_v(
        metadata, 0, stdout, logger, flags
    )
    try:
        return trax.server.Server(
            [TraxRegion.RECTANGLE, TraxRegion.POLYGON, TraxRegion.MASK],
            [TraxImage.PATH],
            tracker_name=name,
            tracker_description=f"{name}, a tracker of the package d3s_vot",
            tracker_family="",
            multiobject=several,
        )
    finally:
        trax.server.trax_server_setup_v = original


def serve(settings: Settings) -> int:
    """Loads, shakes hands, answers; returns the exit code.

    Raises:
        InputError: the log cannot be written.
    """
    with private_streams(settings.log) as (stdout, report):
        try:
            s = settings
            use_threads(s.threads)
            tracker = d3s_vot.load_tracker(s.tracker, s.device, s.trunk, s.preset, s.rules)
        except D3SError as error:
            report(f"d3s_vot.vot: {error}")
            return 2
        server = connect(stdout, Path(s.tracker).stem, s.several)
        try:
            Session(server, tracker, s.unseen).run()
        except D3SError as error:
            report(f"d3s_vot.vot: the session ends: {error}")
            server.quit(str(error))
            return 1
        except trax.TraxException as error:
            report(f"d3s_vot.vot: the connection to the client broke: {error}")
            return 1
        except Exception:  # of any kind: the toolkit must not wait for an answer until its time-out
            report(traceback.format_exc())
            server.quit("internal error of the tracker, see its stderr")
            return 1
        server.quit()
        return 0


def main() -> int:
    """Runs the process; see the module's text."""
    try:
        return serve(Settings.from_environment(os.environ))
    except InputError as error:
        print(f"d3s_vot.vot: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
