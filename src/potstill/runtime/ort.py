"""onnxruntime, opened in one place: it reports nothing home unless somebody asks for that.

From 1.32 on, its builds carry telemetry that is on where nothing says otherwise: it writes an id of
the machine and a database below the user's cache folder and looks up its maker's host.
"""

from __future__ import annotations

import os
from typing import Any

_SWITCH = "ORT_DISABLE_TELEMETRY"


def onnxruntime() -> Any:
    """The library; imported late, as a light verb such as ``potstill info`` must not wait for it.

    ``ORT_DISABLE_TELEMETRY`` is set to ``1`` before it loads where the environment does not have
    it, and what loaded it before is told to be silent.
    """
    silent = os.environ.setdefault(_SWITCH, "1") == "1"
    import onnxruntime

    if silent:
        onnxruntime.disable_telemetry_events()
    return onnxruntime
