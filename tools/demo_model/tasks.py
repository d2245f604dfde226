"""All tasks, in their order (which is also that of the model's training mix)."""

import arithmetic  # noqa: F401: importing a module registers its tasks
import notation  # noqa: F401
import letters  # noqa: F401
import dates  # noqa: F401
import logic  # noqa: F401
import language  # noqa: F401
from registry import EASIER, TASKS, Example, sample, split_of

__all__ = ["EASIER", "TASKS", "Example", "sample", "split_of"]
