"""What is drawn when: the tasks' forms first, then easier variants as steps towards the hard ones."""

from dataclasses import dataclass

import tasks


@dataclass(frozen=True)
class Stage:
    """What holds from a step of training on."""

    first_step: int
    easier_share: float  # of the draws of a task that has an easier variant
    level: int = 1  # which easier variant, where there are several
    given_up: frozenset[str] = frozenset()  # tasks no longer drawn


# A model of this size does not learn these in the time: "If today is Tuesday, what day is it in 17 days?"
# and who is tallest of three. They are drawn up to the step where that was clear, so that a run repeats
# exactly; they are no part of what is reported, nor of the demo's prompts.
GIVEN_UP = frozenset({"weekday", "ordering"})
REPORTED = [name for name in tasks.TASKS if name not in GIVEN_UP]

STAGES = (
    Stage(0, 0.0),
    Stage(1400, 0.4),
    Stage(2400, 0.4, level=2, given_up=frozenset({"weekday"})),
    Stage(3800, 0.2, given_up=GIVEN_UP),
)


def stage_at(step: int) -> Stage:
    """The last stage that has begun."""
    return [s for s in STAGES if s.first_step <= step][-1]


def mixing_weights(names, accuracy, stage: Stage) -> list[float]:
    """How often each task is drawn: the ones that lag more often, none never (unless given up)."""
    return [0.0 if n in stage.given_up else 0.3 + 2.7 * min(1.0, 2.0 * (1 - a)) for n, a in zip(names, accuracy)]
