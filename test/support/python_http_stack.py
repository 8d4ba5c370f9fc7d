"""Speaks to a sandbox with httpx and httpcore, the HTTP libraries of the Python client, over HTTP/2 and HTTP/1.1.

Takes API_URL, API_KEY, AGENT_URL, AGENT_TOKEN and CA_FILE from the environment; ends with 0 when all was as it should be.
"""

import asyncio
import base64
import io
import json
import os
import ssl
import struct

import httpcore
import httpx

AGENT = os.environ["AGENT_URL"]
HEADERS = {"x-access-token": os.environ["AGENT_TOKEN"], "user-agent": "e2b-python-sdk/1.5.0"}
UNARY = {"connect-protocol-version": "1", "content-type": "application/json", "content-encoding": "identity", **HEADERS}
STREAM = {
    "connect-protocol-version": "1",
    "content-type": "application/connect+json",
    "connect-content-encoding": "identity",
    "connect-timeout-ms": "60000",
    "keepalive-ping-interval": "50",
    **HEADERS,
}


def tls():
    context = ssl.create_default_context(cafile=os.environ["CA_FILE"])
    context.set_alpn_protocols(["h2", "http/1.1"])
    return context


def start(command):
    message = {"process": {"cmd": "/bin/bash", "args": ["-l", "-c", command]}, "stdin": False}
    payload = json.dumps(message, indent=2).encode()
    return struct.pack(">BI", 0, len(payload)) + payload


def frames(chunks):
    buffer = b""
    for chunk in chunks:
        buffer += chunk
        while len(buffer) >= 5:
            flags, length = struct.unpack(">BI", buffer[:5])
            if len(buffer) < 5 + length:
                break
            yield flags, json.loads(buffer[5 : 5 + length])
            buffer = buffer[5 + length :]


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def files(http2):
    with httpx.Client(base_url=AGENT, http2=http2, verify=tls(), headers=HEADERS) as client:
        written = client.post("/files", params={"path": "notes/a.txt"}, files=[("file", ("notes/a.txt", "hellö"))])
        equal(written.http_version, "HTTP/2" if http2 else "HTTP/1.1")
        equal(written.json(), [{"name": "a.txt", "path": "/home/user/notes/a.txt", "type": "file"}])
        several = [("file", ('/tmp/ü "q".bin', b"one")), ("file", ("b.txt", io.BytesIO(b"two")))]
        written = client.post("/files", files=several)
        equal([entry["path"] for entry in written.json()], ['/tmp/ü "q".bin', "/home/user/b.txt"])
        pieces = (b"x" * 100_000 for _ in range(20))
        octets = {"Content-Type": "application/octet-stream"}
        equal(client.post("/files", params={"path": "big"}, content=pieces, headers=octets).status_code, 200)
        equal(len(client.get("/files", params={"path": "big"}).content), 2_000_000)
        text = client.get("/files", params={"path": "notes/a.txt"}, headers={"Accept-Encoding": "gzip"})
        equal((text.text, text.headers.get("content-encoding")), ("hellö", "gzip"))
        equal(client.get("/files", params={"path": "none"}).status_code, 404)
        # A download that is not read to its end leaves the connection usable.
        with client.stream("GET", "/files", params={"path": "big"}) as response:
            equal(next(response.iter_bytes(5)), b"xxxxx")
        equal(client.get("/health").status_code, 204)


def commands(http2):
    with httpcore.ConnectionPool(ssl_context=tls(), http2=http2) as pool:
        url = f"{AGENT}/process.Process/"
        body = start("echo one; sleep 0.2; echo two; exit 3")
        with pool.stream("POST", url + "Start", headers=STREAM, content=body) as response:
            *events, (flags, end) = frames(response.iter_stream())
        equal((flags, end), (2, {}))
        output = [event["event"]["data"]["stdout"] for _, event in events if "data" in event["event"]]
        equal(b"".join(map(base64.b64decode, output)), b"one\ntwo\n")
        equal(events[-1][1]["event"]["end"]["exitCode"], 3)
        # A stream that is left early: the command goes on, and so does the connection.
        with pool.stream("POST", url + "Start", headers=STREAM, content=start("sleep 300")) as response:
            pid = next(frames(response.iter_stream()))[1]["event"]["start"]["pid"]
        listed = pool.request("POST", url + "List", headers=UNARY, content=b"{}")
        equal([process["pid"] for process in json.loads(listed.content)["processes"]], [pid])
        kill = json.dumps({"process": {"pid": pid}, "signal": "SIGNAL_SIGKILL"}).encode()
        equal(pool.request("POST", url + "SendSignal", headers=UNARY, content=kill).status, 200)
        gone = pool.request("POST", url + "SendSignal", headers=UNARY, content=kill)
        equal((gone.status, json.loads(gone.content)["code"]), (404, "not_found"))


async def many():
    async with httpx.AsyncClient(base_url=AGENT, http2=True, verify=tls(), timeout=60) as client:

        async def echo(number):
            request = client.stream("POST", "/process.Process/Start", headers=STREAM, content=start(f"echo {number}"))
            async with request as response:
                body = b"".join([chunk async for chunk in response.aiter_raw()])
            return base64.b64encode(f"{number}\n".encode()) in body

        assert all(await asyncio.gather(*[echo(number) for number in range(40)])), "each command has its own output"


def api():
    key = {"X-API-KEY": os.environ["API_KEY"]}
    with httpx.Client(base_url=os.environ["API_URL"], http2=True, verify=tls(), headers=key) as client:
        listed = client.get("/v2/sandboxes", params={"state": ["running", "paused"], "limit": 10})
        equal((listed.status_code, len(listed.json())), (200, 1))
        equal(client.get("/sandboxes/nothing").json()["code"], 404)


for version in (True, False):
    files(version)
    commands(version)
asyncio.run(many())
api()
