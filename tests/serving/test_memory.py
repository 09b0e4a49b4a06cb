"""What the server's process asks of the allocator."""

import platform
import subprocess
import sys

import pytest

from potstill.serving import server

COUNT = """
import ctypes, sys, threading
from potstill.serving.server import limit_arenas
assert limit_arenas() is (sys.argv[1] == "limited")
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.fdopen.restype = ctypes.c_void_p, ctypes.c_void_p
together = threading.Barrier(8)
def take():
    together.wait()
    for _ in range(100):
        libc.malloc(ctypes.c_size_t(4096))
    together.wait()
threads = [threading.Thread(target=take) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.malloc_info(0, ctypes.c_void_p(libc.fdopen(1, b"w")))
libc.fflush(None)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="arenas are glibc's")
@pytest.mark.parametrize("own", [None, "5"])
def test_threads_share_two_arenas_unless_the_user_says_otherwise(own, monkeypatch):
    monkeypatch.delenv("MALLOC_ARENA_MAX", raising=False)
    if own:
        monkeypatch.setenv("MALLOC_ARENA_MAX", own)
    how = "own" if own else "limited"
    command = [sys.executable, "-c", COUNT, how]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    arenas = said.count("<heap nr=")
    assert (2 < arenas <= 5) if own else arenas <= 2


def test_elsewhere_nothing_is_done(monkeypatch):
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    assert server.limit_arenas() is False
