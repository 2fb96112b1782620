"""A small server with the gateway's HTTP contract for `lakehop eval`: sends scripted replies, records requests."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, dict[str, Any]]


class Gateway:
    """Sends the scripted reply of each question, and records all requests."""

    def __init__(self) -> None:
        self.url = ""
        self.replies: dict[str, Reply] = {}
        self.judgements: dict[str, Reply] = {}
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.most_at_once = self._now = 0
        self.waits_for_a_second_s = 0.02
        self._are_two = threading.Event()
        self._lock = threading.Lock()

    def reply(self, path: str, authorization: str, body: dict[str, Any]) -> Reply:
        with self._lock:
            self.asked.append((path, authorization, body))
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
            if self._now > 1:
                self._are_two.set()
        self._are_two.wait(self.waits_for_a_second_s)
        with self._lock:
            self._now -= 1
        return (self.judgements if path == "/judge" else self.replies)[body["question"]]


@contextmanager
def serving() -> Iterator[Gateway]:
    gateway = Gateway()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, document = gateway.reply(self.path, self.headers["Authorization"], body)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway.url = f"http://127.0.0.1:{server.server_port}"
    yield gateway
    server.shutdown()
    server.server_close()


def answer(text: str, *steps: dict[str, Any], usd: str = "0.0000000000", status: str = "answered") -> Reply:
    usage = {"calls": 2, "input_tokens": 100, "cached_tokens": 0, "output_tokens": 10, "usd": usd}
    return 200, {
        "answer": text,
        "status": status,
        "citations": [],
        "uncited": [text],
        "steps": [*steps, {"kind": "chat", "agent": "read", "passages": []}],
        "usage": usage,
        "latency_s": 1.0,
        "task_id": f"task of {text}",
    }


def problem(status: int, detail: str, **more: Any) -> Reply:
    return status, {"status": status, "detail": detail, **more}
