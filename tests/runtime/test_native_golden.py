"""native/tests/golden.bin: the bits that every kernel gives, on every machine."""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import numpy as np
import pytest

from potstill.runtime import native_session
from potstill.runtime.native_session import kernels

pytestmark = pytest.mark.engine

GOLDEN = Path(__file__).parents[2] / "native" / "tests" / "golden.bin"


def cases():
    """Each case: config, model, lengths, ids, types or ``None``, outputs."""
    data, at = GOLDEN.read_bytes(), 0
    while at < len(data):
        config, at = data[at : at + 28], at + 28
        n_bytes, rows, tokens, has_types, outputs, _ = struct.unpack_from("<6I", data, at)
        at += 24
        model, at = data[at : at + n_bytes], at + (n_bytes + 3) // 4 * 4
        arrays = []
        for count, kind in ((rows, "u4"), (tokens, "i4"), (tokens, "i4"), (outputs, "i4")):
            arrays.append(np.frombuffer(data, f"<{kind}", count, at))
            at += 4 * count
        lengths, ids, types, wanted = arrays
        yield config, model, lengths, ids, types if has_types else None, wanted


@pytest.mark.parametrize("number", range(6))
def test_bits_of_the_golden_file(number):
    library = native_session._library()
    config, model, lengths, ids, types, wanted = list(cases())[number]
    described = native_session._Config.from_buffer_copy(config)
    message = ctypes.create_string_buffer(256)
    for kernel in kernels():
        opened = ctypes.c_void_p()
        status = library.potstill_open(
            model, len(model), described, kernel.encode(), ctypes.byref(opened), message, 256
        )
        assert status == 0, message.value
        out = np.empty(len(wanted), np.float32)
        status = library.potstill_run(
            opened, ids.ctypes.data, None if types is None else types.ctypes.data,
            lengths.ctypes.data, len(lengths), 2, out.ctypes.data, len(out), message, 256,
        )  # fmt: skip
        assert status == 0, message.value
        assert np.array_equal(out.view(np.int32), wanted), kernel
        library.potstill_close(opened)
