"""The socket of the server."""

import asyncio
import socket

from potstill.serving.server import listen


def test_no_part_of_an_answer_waits_for_an_acknowledgement():
    """asyncio switches Nagle's algorithm off where it knows that a socket is TCP."""

    async def accepted():
        told = asyncio.get_running_loop().create_future()

        def connected(_, writer):
            line = writer.get_extra_info("socket")
            told.set_result(line.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        with listen("127.0.0.1", 0) as listener:
            async with await asyncio.start_server(connected, sock=listener):
                _, writer = await asyncio.open_connection(*listener.getsockname())
                found = await asyncio.wait_for(told, 20)
                writer.close()
                await writer.wait_closed()
                return found

    assert asyncio.run(accepted())
