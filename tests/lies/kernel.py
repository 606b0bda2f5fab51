"""A kernel that holds the key and does what no kernel should: the code of a cell names what it does.

Around that it is honest: busy, the lie, a reply, idle.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import zmq

GIGABYTE = 2**30
Header = dict[str, Any]


class Request:
    """One execute_request, and all that can be sent because of it."""

    def __init__(self, kernel: Kernel, identity: list[bytes], header: Header) -> None:
        self.kernel, self.identity, self.header = kernel, identity, header

    def iopub(self, msg_type: str, content: Any, **more: Any) -> None:
        self.kernel.iopub.send_multipart([b"topic", *self.kernel.frames(msg_type, content, self.header, **more)])

    def print(self, text: str) -> None:
        self.iopub("stream", {"name": "stdout", "text": text})

    def route(self, channel: str, msg_type: str, content: Any, parent: Header | None = None) -> None:
        frames = self.kernel.frames(msg_type, content, parent or self.header)
        getattr(self.kernel, channel).send_multipart([*self.identity, *frames])

    def raw(self, *parts: bytes, sign: bool = True) -> None:
        """JSON parts, or what should be some: header, parent, metadata, content."""
        signature = self.kernel.sign(parts) if sign else b"0" * 64
        self.kernel.iopub.send_multipart([b"topic", b"<IDS|MSG>", signature, *parts])

    def parts(self, msg_type: str = "stream", **content: Any) -> list[bytes]:
        return self.kernel.frames(msg_type, content or {"name": "stdout", "text": "x"}, self.header)[2:]


def bad_signatures(request: Request) -> None:
    for _ in range(3):
        request.raw(*request.parts(), sign=False)


def broken_json(request: Request) -> None:
    header, parent, metadata, _ = request.parts()
    for content in (b"{", b"", b"\xff\xfe", b"[1]", b'"x"', b'{"name": "stdout", "text": NaN}', b"[" * 100_000):
        request.raw(header, parent, metadata, content)
    request.raw(header, parent, metadata, b'{"name": "stdout", "text": "x", "deep": ' + b"[" * 500 + b"]" * 500 + b"}")
    request.raw(header, parent, metadata, b'{"name": "stdout", "text": "x", "number": 1' + b"0" * 5000 + b"}")


def no_frames(request: Request) -> None:
    for frames in (
        [b""],
        [b"topic"],
        [b"topic", b"<IDS|MSG>"],
        [b"x"] * 20_000,
        [b"topic", b"<IDS|MSG>", *[b""] * 20_000],
    ):
        request.kernel.iopub.send_multipart(frames)


def missing_fields(request: Request) -> None:
    _, parent, metadata, content = request.parts()
    for header in ({}, {"msg_type": "stream"}, {"msg_id": "1"}, {"msg_id": "", "msg_type": "stream"}):
        request.raw(json.dumps(header).encode(), parent, metadata, content)
    for msg_type in ("stream", "display_data", "execute_result", "error", "status", "update_display_data", "comm_open"):
        request.iopub(msg_type, {})


def wrong_types(request: Request) -> None:
    wrong: Any
    for wrong in (None, True, -1, 1.5, [], {}, ["x", 1]):
        request.iopub("stream", {"name": "stdout", "text": wrong})
        request.iopub("stream", {"name": wrong, "text": "x"})
        request.iopub("error", {"ename": wrong, "evalue": "", "traceback": []})
        request.iopub("status", {"execution_state": wrong})
        request.iopub("display_data", {"data": {"text/plain": {"a": wrong}}, "metadata": {}})
        request.iopub("display_data", {"data": {}, "metadata": ["x"]})
        request.iopub("comm_open", {"comm_id": wrong, "data": {}})
        request.iopub("kernel_exec_cut", {"name": wrong, "left_out": 1})
        request.iopub("kernel_exec_cut", {"name": "stdout", "left_out": -5})
        request.route("stdin", "input_request", {"prompt": 3})


def unknown_types(request: Request) -> None:
    # What comes on other channels is counted with the cell when it is read before the cell's end: it is sent first.
    request.route("stdin", "execute_reply", {"status": "ok"})
    request.route("control", "execute_reply", {"status": "ok"})
    request.route("shell", "stream", {"name": "stdout", "text": "x"})
    for number in range(1000):
        request.iopub(f"type_{number}", {"x": number})


def no_base64(request: Request) -> None:
    request.iopub("display_data", {"data": {"image/png": "this is none!", "text/plain": "a chart"}, "metadata": {}})
    request.iopub("display_data", {"data": {"image/jpeg": "abcde"}, "metadata": {}})


def strangers(request: Request) -> None:
    for number in range(5000):
        parent = {**request.header, "msg_id": f"other_{number}"}
        frames = request.kernel.frames("stream", {"name": "stdout", "text": "x" * 1000}, parent)
        request.kernel.iopub.send_multipart([b"topic", *frames])


def replies_for_others(request: Request) -> None:
    other = {**request.header, "msg_id": "other"}
    for channel in ("shell", "control"):
        for kind in ("execute_reply", "complete_reply", "kernel_info_reply"):
            request.route(channel, kind, {"status": "ok"}, other)


def many_replies(request: Request) -> None:
    for number in range(5):
        request.route("shell", "execute_reply", {"status": "ok", "execution_count": number})


def endless_displays(request: Request) -> None:
    for number in range(60_000):
        display = {"data": {"text/plain": str(number)}, "metadata": {}, "transient": {"display_id": f"d{number}" * 10}}
        request.iopub("display_data", display)


def endless_updates(request: Request) -> None:
    for number in range(5000):
        update = {"data": {"text/plain": "x" * 5000}, "metadata": {}, "transient": {"display_id": f"d{number}"}}
        request.iopub("update_display_data", update)


def endless_widgets(request: Request) -> None:
    for number in range(30_000):
        request.iopub("comm_open", {"comm_id": f"c{number}", "target_name": "jupyter.widget", "data": {"state": {}}})


def endless_questions(request: Request) -> None:
    for _ in range(500):
        request.route("stdin", "input_request", {"prompt": "x" * 20_000, "password": False})


def long_names(request: Request) -> None:
    long = "x" * 10**6
    request.iopub("display_data", {"data": {"text/" + long: "x"}, "metadata": {}})
    request.iopub("display_data", {"data": {f"text/{n}": "x" for n in range(1000)}, "metadata": {}})
    request.iopub("display_data", {"data": {"text/plain": "x"}, "metadata": {}, "transient": {"display_id": long}})
    request.iopub("comm_open", {"comm_id": long, "data": {}})
    _, parent, metadata, content = request.parts()
    request.raw(json.dumps({"msg_id": long, "msg_type": "stream"}).encode(), parent, metadata, content)
    request.raw(json.dumps({"msg_id": "x" * 1000, "msg_type": "stream"}).encode(), parent, metadata, content)


def lies_about_cuts(request: Request) -> None:
    for name in ("../../secret", "/etc/passwd", "display-1", "stdout/../x", "", "x" * 1000):
        told = {"cut": [{"name": name, "mime": "text/plain", "size": 10}] * 300, "text": "y" * 10**6}
        request.iopub("display_data", {"data": {"text/plain": "x"}, "metadata": {"kernel_exec": told}})
    request.iopub("kernel_exec_cut", {"name": "stdout", "left_out": 2**80})
    request.iopub("kernel_exec_cut", {"name": "displays", "left_out": 2**80})


def flood(request: Request) -> None:
    garbage = bytes(20 * 2**20)
    for _ in range(150):
        request.kernel.iopub.send_multipart([b"topic", garbage], copy=False)


def gigabyte(request: Request) -> None:
    # Never touched, so it takes no memory here: the length is announced, and the connection is cut at that.
    request.kernel.iopub.send(bytes(GIGABYTE), copy=False)
    time.sleep(600)


def gigabyte_reply(request: Request) -> None:
    request.kernel.shell.send_multipart([*request.identity, bytes(GIGABYTE)], copy=False)
    time.sleep(600)


def closes_iopub(request: Request) -> None:
    request.print("before")
    request.kernel.iopub.close(linger=500)
    time.sleep(600)


def no_reply(request: Request) -> None:
    request.print("before")
    time.sleep(600)


def no_idle(request: Request) -> None:
    request.route("shell", "execute_reply", {"status": "ok", "execution_count": 1})
    time.sleep(600)


LIES = {
    function.__name__: function
    for function in (
        bad_signatures, broken_json, no_frames, missing_fields, wrong_types, unknown_types, no_base64, strangers,
        replies_for_others, many_replies, endless_displays, endless_updates, endless_widgets, endless_questions, flood,
        long_names, lies_about_cuts, gigabyte, gigabyte_reply, closes_iopub, no_reply, no_idle,
    )
}  # fmt: skip


class Kernel:
    """The sockets, and the honest part."""

    def __init__(self, connection: dict[str, Any]) -> None:
        self._key = connection["key"].encode()
        self._ids: Iterator[int] = itertools.count()
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        for name, kind in {"shell": zmq.ROUTER, "control": zmq.ROUTER, "stdin": zmq.ROUTER, "iopub": zmq.PUB}.items():
            socket = context.socket(kind)
            socket.set_hwm(0)
            socket.bind(f"ipc://{connection['ip']}-{connection[f'{name}_port']}")
            setattr(self, name, socket)
        self.shell: zmq.Socket[bytes]
        self.iopub: zmq.Socket[bytes]

    def sign(self, parts: tuple[bytes, ...] | list[bytes]) -> bytes:
        mac = hmac.new(self._key, digestmod=hashlib.sha256)
        for part in parts:
            mac.update(part)
        return mac.hexdigest().encode()

    def frames(self, msg_type: str, content: Any, parent: Header, metadata: Any = None) -> list[bytes]:
        header = {"msg_id": f"lie{next(self._ids)}", "msg_type": msg_type, "date": "2026-01-02T03:04:05Z"}
        parts = [json.dumps(part).encode() for part in (header, parent, metadata or {}, content)]
        return [b"<IDS|MSG>", self.sign(parts), *parts]

    def serve(self) -> None:
        while True:
            frames = self.shell.recv_multipart()
            start = frames.index(b"<IDS|MSG>")
            header, content = json.loads(frames[start + 2]), json.loads(frames[start + 5])
            request = Request(self, frames[:start], header)
            request.iopub("status", {"execution_state": "busy"})
            if header["msg_type"] == "kernel_info_request":
                info = {"protocol_version": "5.4", "language_info": {"name": "lies"}, "status": "ok"}
                request.route("shell", "kernel_info_reply", info)
            else:
                self._execute(request, content["code"])
            request.iopub("status", {"execution_state": "idle"})

    def lie(self, request: Request, code: str) -> None:
        if code in LIES:
            LIES[code](request)

    def _execute(self, request: Request, code: str) -> None:
        self.lie(request, code)
        request.print(f"said {code}")
        request.route("shell", "execute_reply", {"status": "ok", "execution_count": 1})


if __name__ == "__main__":
    with open(sys.argv[sys.argv.index("-f") + 1], encoding="utf-8") as file:
        Kernel(json.load(file)).serve()
