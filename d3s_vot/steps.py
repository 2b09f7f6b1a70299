"""A frame in steps: what a target asks of the networks that it shares, and how many targets ask together.

A target goes through a frame as a generator. Where it needs a network it yields a `Pass` and gets the answer; at the
end it returns its `Prediction`. `advance` runs such generators side by side and puts what they ask of the same function
into one batch. One target or many: the arithmetic is written once.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from d3s_vot.prediction import Prediction


@dataclass(frozen=True, eq=False)
class Pass:
    """What a target asks for.

    Attributes:
        run: from items to answers, in their order; a method of the model, which takes as many at once as is fast.
        item: this target's.
    """

    run: Callable[[Sequence[Any]], Sequence[Any]]
    item: Any


Steps = Generator[Pass, Any, Prediction]


def advance(targets: Sequence[Steps]) -> list[Prediction | Exception]:
    """Run several targets through a frame, side by side.

    Args:
        targets: each a generator that was not started.

    Returns:
        For each its answer, or the error that ended it; no other target is touched by that.
    """
    ends: dict[int, Prediction | Exception] = {}
    waiting: dict[int, Pass] = {}

    def resume(place: int, answer: Any) -> None:
        try:
            waiting[place] = targets[place].send(answer)
        except StopIteration as end:
            ends[place] = end.value
        except Exception as error:  # whatever it is, the caller is told
            ends[place] = error

    for place in range(len(targets)):
        resume(place, None)
    while waiting:
        run = next(iter(waiting.values())).run
        group = {place: waiting.pop(place).item for place, asked in list(waiting.items()) if asked.run == run}
        try:
            answers = run(list(group.values()))
        except Exception as error:
            for place in group:
                targets[place].close()
                ends[place] = error
            continue
        for place, answer in zip(group, answers, strict=True):
            resume(place, answer)
    return [ends[place] for place in range(len(targets))]
