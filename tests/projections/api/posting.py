"""One request on a connection of its own: thousands at a time cost a test little."""

import asyncio
import json
from typing import Any


async def post(address: str, path: str, body: object) -> tuple[int, Any]:
    """Post JSON; the status and the JSON of the answer. Raises OSError, EOFError."""
    host, _, port = address.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        raw = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
        writer.write(head.encode() + raw)
        answer = await reader.read()
    finally:
        writer.close()
    first, _, rest = answer.partition(b"\r\n")
    _, _, content = rest.partition(b"\r\n\r\n")
    if not content:
        raise EOFError("the connection was closed early")
    return int(first.split(b" ")[1]), json.loads(content)
