"""What Python runs first in every process that a test starts.

torchmetrics comes with pytorch-lightning, which only tests install, and lightning_fabric asks for
its version by importing it: four seconds of each process that trains. Those processes see what
``potstill[train]`` installs.
"""

import sys

sys.modules["torchmetrics"] = None  # type: ignore[assignment]
