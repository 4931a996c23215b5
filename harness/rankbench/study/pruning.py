"""Optuna's pruners: a trial whose validation curve falls behind those of others is ended early."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from rankbench.common.text import metric
from rankbench.study.search import Search
from rankbench.training.early_stopping import Monitor

Curve = dict[int, float]  # epoch -> the monitored metric


def build_pruner(search: Search) -> BasePruner:
    """Optuna's pruner of a search.

    Source: Li et al., Hyperband: a novel bandit-based approach to hyperparameter optimization,
    JMLR 18 (2018); the median rule is Vizier's (Golovin et al., KDD 2017).
    """
    match search.pruner:
        case "median":
            return MedianPruner(search.startup_trials, search.warmup_epochs)
        case "hyperband":
            return HyperbandPruner(search.min_epochs, reduction_factor=search.reduction_factor)
        case _:
            return NopPruner()


def add_told(study: Study, trial: FrozenTrial) -> None:
    """Add a finished trial, with what the pruner of `study` would have noted on it.

    Hyperband notes on a running trial how it stood at each rung, and compares others with that.
    """
    if not isinstance(study.pruner, HyperbandPruner):
        study.add_trial(trial)
        return
    running = create_trial(
        state=TrialState.RUNNING,
        params=trial.params,
        distributions=trial.distributions,
        user_attrs=trial.user_attrs,
        constraints=trial.constraints,
    )
    study.add_trial(running)
    again = Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)
    for epoch, value in sorted(trial.intermediate_values.items()):
        again.report(value, epoch)
        again.should_prune()
    values = trial.values if trial.state is TrialState.COMPLETE else None
    study.tell(again, values, trial.state)


class PruningMonitor:
    """Reports the validation curve of one run to its trial, and asks whether to go on.

    `epochs`: of the whole training; a run that has them all is not pruned. `verdict`: why the run
    should end, None while it may go on.
    """

    def __init__(self, trial: Trial, monitor: Monitor, epochs: int) -> None:
        self.trial, self.epochs = trial, epochs
        self.name, _ = monitor
        self.prune_reason: str | None = None
        self._latest: tuple[int, float] | None = None
        self._reported: set[int] = set()  # a run that is tried again repeats what it told

    def on_row(self, table: str, row: Mapping[str, Any]) -> None:
        """A row of the run. That of `epochs` comes first, and what `runs` keeps of it next."""
        if table == "epochs":
            self._latest = (row["epoch"], row[self.name])
        elif table == "runs" and self._latest is not None:
            (epoch, value), self._latest = self._latest, None
            self.report({epoch: value})
            if epoch < self.epochs and self.trial.should_prune():
                self.prune_reason = (
                    f"{self.name} {metric(value)} after epoch {epoch} is behind others'"
                )

    def report(self, curve: Curve) -> None:
        """Tell the trial a curve, or a point of it."""
        for epoch, value in curve.items():
            if epoch not in self._reported:
                self._reported.add(epoch)
                self.trial.report(value, epoch)


def curves(epochs: Iterable[Mapping[str, Any]], name: str) -> dict[str, Curve]:
    """The curve of each run, by run_id, from rows of the table epochs."""
    found: dict[str, Curve] = {}
    for row in epochs:
        if row[name] is not None:
            found.setdefault(row["run_id"], {})[row["epoch"]] = row[name]
    return found
