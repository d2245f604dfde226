"""Waits for a quiet machine, and measures again what others disturbed."""

import time

import engines

LOOK_SECONDS = 2


class Quiet:
    def __init__(self, cores: float, patience: float):
        """Others may use so many cores; after so many seconds of waiting for one measurement it is taken as it is."""
        self.cores, self.patience = cores, patience

    def wait(self, give_up: float) -> None:
        while time.monotonic() < give_up:
            before, begin = engines.cpu_seconds(), time.monotonic()
            time.sleep(LOOK_SECONDS)
            if engines.cpu_seconds() - before < self.cores * (time.monotonic() - begin):
                return

    def measure(self, *measurements) -> list:
        """Each is called once, one after the other; all again if one of them was disturbed."""
        give_up = time.monotonic() + self.patience
        while True:
            self.wait(give_up)
            answers = []
            for measurement in measurements:
                answers.append(measurement())
                if answers[-1].others_cores > self.cores and time.monotonic() < give_up:
                    break
            else:
                return answers
