"""A receiver of webhooks as a process of its own: it verifies, notes, and answers as planned.

`python -m tests.projections.delivery.receiver PORT FOLDER [PEM]`. The folder's `plan.json` holds
the secrets that it knows and, by path, how to answer the requests to come: with which status, and
after how many `seconds`, or `after` a file is there. What came is a line of `seen.jsonl` before it
is answered. With a key and its certificate, it speaks TLS.
"""

import json
import ssl
import sys
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError


class Server(ThreadingHTTPServer):
    """Knows its folder, and how often each path was called."""

    daemon_threads = True

    def __init__(self, port: int, folder: Path) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.folder, self.calls, self.lock = folder, Counter[str](), threading.Lock()


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Verify, note, answer."""
        assert isinstance(self.server, Server)
        body = self.rfile.read(int(self.headers["content-length"]))
        plan = json.loads((self.server.folder / "plan.json").read_text())
        headers = {name.lower(): value for name, value in self.headers.items()}
        verified = [secret for secret in plan["secrets"] if _fits(secret, body, headers)]
        with self.server.lock:
            number = self.server.calls[self.path]
            self.server.calls[self.path] += 1
            answer: dict[str, Any] = {"status": 401}
            if verified:
                answer = _answer(plan, self.path, number)
            self._note(body, headers, verified, answer["status"])
        time.sleep(answer.get("seconds", 0))
        while "after" in answer and not (self.server.folder / answer["after"]).exists():
            time.sleep(0.05)
        self._reply(answer)

    def _note(self, body: bytes, headers: dict[str, str], verified: list[str], status: int) -> None:
        assert isinstance(self.server, Server)
        seen = {
            "path": self.path,
            "id": headers.get("webhook-id"),
            "body": body.decode(),
            "status": status,
            "verified": verified,
            "signatures": len(headers.get("webhook-signature", "").split(" ")),
            "type": headers.get("content-type"),
            "at": time.time_ns() // 1_000,
        }
        with (self.server.folder / "seen.jsonl").open("a") as file:
            file.write(json.dumps(seen) + "\n")

    def _reply(self, answer: dict[str, Any]) -> None:
        try:
            self.send_response(answer["status"])
            for name, value in answer.get("headers", {}).items():
                self.send_header(name, value)
            content = b"x" * answer.get("bytes", 0)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
        except OSError:
            self.close_connection = True

    def log_message(self, *_arguments: object) -> None:
        """What came is in `seen.jsonl`."""


def _fits(secret: str, body: bytes, headers: dict[str, str]) -> bool:
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


def _answer(plan: dict[str, Any], path: str, number: int) -> dict[str, Any]:
    """The planned answers in turn, then the last of them, or 204."""
    answers = plan["answers"].get(path) or [{"status": 204}]
    found: dict[str, Any] = answers[min(number, len(answers) - 1)]
    return found


if __name__ == "__main__":
    server = Server(int(sys.argv[1]), Path(sys.argv[2]))
    if sys.argv[3:]:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(sys.argv[3])
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()
