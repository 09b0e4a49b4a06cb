"""The balancer shares connections out, and the table is one."""

import asyncio

import balancer
import replicas


def test_connections_go_to_the_servers_in_turn():
    async def run():
        async def echo(name, reader, writer):
            while data := await reader.read(99):
                writer.write(name + data)
            writer.close()

        servers = [
            await asyncio.start_server(lambda r, w, n=name: echo(n, r, w), "127.0.0.1", 0)
            for name in (b"a", b"b")
        ]
        ports = [one.sockets[0].getsockname()[1] for one in servers]
        spare = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
        port = spare.sockets[0].getsockname()[1]
        spare.close()
        await spare.wait_closed()
        task = asyncio.create_task(balancer.serve(port, ports))
        await asyncio.sleep(0.2)
        said = []
        for _ in range(4):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            for text in (b"1", b"2"):
                writer.write(text)
                said.append(await asyncio.wait_for(reader.read(9), 20))
            writer.close()
            await writer.wait_closed()
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        for one in servers:
            one.close()
        return said

    assert asyncio.run(run()) == [b"a1", b"a2", b"b1", b"b2"] * 2


def test_the_table_holds_medians(capsys):
    rows = [{"questions_per_s": rate, "p50_ms": 1.0, "p99_ms": 2.0} for rate in (1.0, 5.0, 3.0)]
    replicas.show({"systems": {replicas.ONE: {"8": rows}}})
    assert capsys.readouterr().out.splitlines()[-1].split() == [
        "one", "server", "8", "3.0", "1.0", "2.0"
    ]  # fmt: skip
