"""The command `d3s-vot web`: starts the server of the page and tells its address."""

from __future__ import annotations

import argparse
import contextlib
import signal
import socket
import sys

from d3s_vot.arguments import add_network, add_place, chosen, shown_names
from d3s_vot.compute.threads import use_threads
from d3s_vot.errors import InputError

LIMIT = 1024  # MiB of a video
PATIENCE = 3  # seconds that requests have left when the server ends


def add_web(commands: argparse._SubParsersAction) -> None:
    """The command's grammar."""
    parser = commands.add_parser(
        "web",
        help="a page to draw targets in a video and watch them tracked",
        description="Serve a page on this computer: drop a video, draw a box round the target, watch its mask follow, "
        "correct it, download. Ctrl-C ends it, and the videos that it was given are removed.",
        epilog="example: d3s-vot web --port 8080",
    )
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to serve (default: %(default)s, this computer alone); there is no password, so whoever reaches "
        "another one can use the page",
    )
    parser.add_argument("--port", type=_port, default=8000, help="0: any that is free (default: %(default)s)")
    parser.add_argument(
        "--limit", type=_size, default=LIMIT, metavar="MIB", help="size of a video, at most (default: %(default)s)"
    )
    tracker = parser.add_argument_group("the tracker")
    add_network(tracker)
    tracker.add_argument(
        "--also",
        nargs="+",
        default=[],
        metavar="NAME",
        help="other trackers to choose from on the page, or to run side by side; as for --tracker",
    )
    add_place(tracker)
    parser.set_defaults(run=web)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise argparse.ArgumentTypeError(f"'{text}' is no port; give 0 to 65535")
    return int(text)


def _size(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"'{text}' is no size; give a whole number of MiB")
    return int(text)


def web(options: argparse.Namespace) -> None:
    """Run the command, until Ctrl-C.

    Args:
        options: of `add_web`.

    Raises:
        InputError: a package is missing, the address cannot be used, or there is no such device or preset.
        CheckpointError: the weights cannot be used.
    """
    try:
        import av  # noqa: F401 - for the sentence below, before anything is loaded
        import uvicorn

        from d3s_vot.web.guard import is_loopback
        from d3s_vot.web.server import create_app
        from d3s_vot.zoo import Choice
    except ModuleNotFoundError as error:
        raise InputError(f"the page needs the package {error.name}; install d3s-vot[web]") from error

    names = shown_names([options.tracker, *options.also])
    use_threads(options.threads)
    choices = [chosen(options), *(Choice(name, options.device, options.preset) for name in options.also)]
    with listen(options.host, options.port) as listener:
        trackers = {name: each.load_tracker() for name, each in zip(names, choices, strict=True)}
        app = create_app(trackers, options.limit, options.host)
        host = f"[{options.host}]" if ":" in options.host else options.host
        address = f"http://{host}:{listener.getsockname()[1]}"
        print(f"{', '.join(trackers)} at {address} (Ctrl-C ends it)", flush=True)
        if not is_loopback(options.host):
            print(f"d3s-vot: warning: whoever reaches {options.host} can use the page; no password", file=sys.stderr)
        config = uvicorn.Config(
            app, log_level="warning", server_header=False, ws="none", timeout_graceful_shutdown=PATIENCE
        )
        # A closed terminal ends the server as `kill` does, so that the videos are removed.
        if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens at the address.

    Raises:
        InputError: there is no such address, or the port is in use.
    """
    try:
        family, kind, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"there is no address {host}; leave out --host, or give one of this computer's") from error
    listener = socket.socket(family, kind)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen()  # browsers that come before the network is loaded wait
    except OSError as error:
        listener.close()
        reason = f"cannot be used ({error.strerror}); give another --port or --host"
        raise InputError(f"{host} port {port} {reason}") from error
    return listener
