"""
The least that a process can do which serves many invocations of Lambda's Runtime API at once.

`python -m tests.bench.bare_invocations`, started by AWS's runtime code. As many tasks as
AWS_LAMBDA_MAX_CONCURRENCY each ask for an invocation and stream words to it, at the times that the
stub has. It reads no event, calls nothing and handles no error.
"""

from __future__ import annotations

import asyncio
import os
import re

WORDS, GAP = 11, 0.1
"""The words of a stream, and the seconds between two: it takes 1 s."""

PREFIX = "/2018-06-01/runtime/invocation"
STREAMING = (
    "Content-Type: application/vnd.awslambda.http-integration-response\r\n"
    "Lambda-Runtime-Function-Response-Mode: streaming\r\n"
    "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
)
PRELUDE = b'{"statusCode":200,"headers":{"content-type":"text/event-stream"}}' + b"\0" * 8
_ID = re.compile(rb"lambda-runtime-aws-request-id: *(\S+)", re.IGNORECASE)
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


async def serve(host: str, port: int) -> None:
    """Serve one invocation after the other, over a connection for each."""
    while True:
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(f"GET {PREFIX}/next HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readuntil(b"\r\n\r\n")
        name, length = _ID.search(head), _LENGTH.search(head)
        assert name, head
        assert length, head
        await reader.readexactly(int(length[1]))
        path = f"{PREFIX}/{name[1].decode()}/response"
        start = f"POST {path} HTTP/1.1\r\nHost: {host}\r\n{STREAMING}".encode()
        writer.write(start + chunk(PRELUDE))
        began = asyncio.get_running_loop().time()
        for index in range(WORDS):
            await asyncio.sleep(began + index * GAP - asyncio.get_running_loop().time())
            writer.write(chunk(b"data: word%d\n\n" % index))
        writer.write(b"0\r\n\r\n")
        await reader.readuntil(b"\r\n\r\n")
        writer.close()


def chunk(data: bytes) -> bytes:
    """A chunk of a response."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    """Serve as many at once as AWS's runtime code says."""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")
    async with asyncio.TaskGroup() as group:
        for _ in range(int(os.environ["AWS_LAMBDA_MAX_CONCURRENCY"])):
            group.create_task(serve(host, int(port)))


if __name__ == "__main__":
    asyncio.run(main())
