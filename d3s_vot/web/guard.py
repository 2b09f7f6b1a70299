"""Who may talk to the server: the page that it serves, and programs; not the other pages that are open in a browser."""

from __future__ import annotations

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


class Guard:
    """Refuses requests under a foreign name, as after DNS rebinding, and those that other sites make.

    Args:
        app: what is guarded.
        host: name or address that the server is bound to.
    """

    def __init__(self, app: ASGIApp, host: str) -> None:
        self._app = app
        self._local = is_loopback(host)
        self._names = {"localhost", host.lower()}
        if not self._local:
            self._names |= {socket.gethostname().lower(), socket.getfqdn().lower()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        refusal = self._refusal(scope["path"], Headers(scope=scope))
        answer = self._app if refusal is None else JSONResponse({"error": refusal}, 403)
        await answer(scope, receive, send_safely)

    def _refusal(self, path: str, headers: Headers) -> str | None:
        """Why a request is not answered; None: it is."""
        host = headers.get("host", "")
        if not self._is_own(host):
            return f"this server is not {host}; open the address that it printed when it started"
        foreign = headers.get("origin", f"http://{host}") not in (f"http://{host}", f"https://{host}")
        # A link to the page from elsewhere is fine; pictures and data of it are not for others.
        foreign |= path != "/" and headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        return "requests from other sites are refused; open this server's own page" if foreign else None

    def _is_own(self, host: str) -> bool:
        """Whether a Host header names this server; ports do not matter, they change when forwarded."""
        try:
            name = urlsplit(f"//{host}").hostname or ""
            # An address cannot be rebound as a name can.
            return name in self._names or (not self._local and is_address(name)) or is_loopback(name)
        except ValueError:
            return False


def is_loopback(host: str) -> bool:
    """Whether a name or address is that of the machine itself, for itself."""
    return host.lower() == "localhost" or (is_address(host) and ip_address(host).is_loopback)


def is_address(host: str) -> bool:
    """Whether a host is written as an IP address.

    >>> is_address("::1"), is_address("example.org")
    (True, False)
    """
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
