"""The one loop that trains every system: visible, resumable at any step of any phase, with nothing
hidden in callbacks."""

from __future__ import annotations

import shutil

from pipeline.run_state import State
from pipeline.runs import CACHE, LAST, STATE, Run, Told, Watcher
from pipeline.trainer import Trainer


def train(run: Run, watcher: Watcher) -> State:
    """Train every phase to its last step or an early stop, each from the best weights of the one
    before; writes the best weights of each and the last into ``run.work``.

    Raises TrainingError, before the weights are touched, when a loss or gradient is not finite.
    """
    trainer = Trainer(run, run.work / STATE)
    for row in trainer.state.history:
        watcher.row(row["step"], row["values"])
    while True:
        _train_phase(run, trainer, watcher)
        trainer.save()
        if trainer.state.phase + 1 == len(run.system.phases):
            break
        trainer.next_phase()
    trainer.write(run.work / LAST)
    shutil.rmtree(run.work / CACHE, ignore_errors=True)
    return trainer.state


def _train_phase(run: Run, trainer: Trainer, watcher: Watcher) -> None:
    """From where the state stands to the phase's end."""
    state, section = trainer.state, run.section
    phase = section.phases[trainer.phase]
    with trainer.reading() as batches:
        while state.step < phase.steps and state.bad < phase.early_stop.patience:
            terms = trainer.step(batches)
            told = Told(state.total, _num_steps(run), trainer.phase, terms, *trainer.pace.told())
            watcher.progress(told)
            last = state.step == phase.steps
            if last or state.step % section.validate_every == 0:
                row, picture = trainer.validate()
                watcher.row(state.total, row)
                watcher.picture(state.total, picture)
            stopping = run.ranks.roll_call(watcher.stopping())
            if last or stopping or state.step % section.save_every == 0:
                trainer.save()
            final = last and trainer.phase == run.system.phases[-1]
            if stopping and not final:
                run.ranks.stop(f"after step {state.total} of {_num_steps(run)}")


def _num_steps(run: Run) -> int:
    return sum(run.section.phases[phase].steps for phase in run.system.phases)
