"""Language models: pre-training tiny ones, loading, stacked LoRA, training and scoring."""

import logging
from collections.abc import Callable

# PEFT imports bitsandbytes, which warns on some processors that an optional package of faster kernels is not there.
logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)

Progress = Callable[[int, int, str], None]
"""Called now and then with (steps done, steps in all, what is being done)."""
