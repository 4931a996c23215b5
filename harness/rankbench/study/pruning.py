"""Prune trials with Optuna: end a run whose validation curve is worse than those of others."""

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
    """Build the Optuna pruner that the settings of a search name.

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
    """Add a finished trial to an Optuna study, so that the study's pruner can compare with it.

    Hyperband stores on a running trial its value at each rung, and compares later trials with
    these values. For Hyperband, the trial is therefore added as running, its curve is reported
    once more, and then the trial is finished.
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
    replayed = Trial(study, study.get_trials(deepcopy=False)[-1]._trial_id)
    for epoch, value in sorted(trial.intermediate_values.items()):
        replayed.report(value, epoch)
        replayed.should_prune()
    values = trial.values if trial.state is TrialState.COMPLETE else None
    study.tell(replayed, values, trial.state)


class PruningMonitor:
    """Report the validation curve of one run to its Optuna trial, and decide whether to end it.

    Args:
        trial: The Optuna trial of the run.
        monitor: Name and direction of the monitored column of `epochs`.
        epochs: Length of the whole training; a run that has reached it is not pruned.

    Attributes:
        prune_reason: Why the run should end; None while it may continue.
    """

    def __init__(self, trial: Trial, monitor: Monitor, epochs: int) -> None:
        self.trial, self.epochs = trial, epochs
        self.name, _ = monitor
        self.prune_reason: str | None = None
        self._latest: tuple[int, float] | None = None
        self._reported: set[int] = set()  # A repeated run sends the same epochs once more.

    def on_row(self, table: str, row: Mapping[str, Any]) -> None:
        """Take one row that the run has sent.

        A row of `epochs` comes first, then the row of `runs` that confirms it is stored; only then
        is the value reported.
        """
        if table == "epochs":
            self._latest = (row["epoch"], row[self.name])
        elif table == "runs" and self._latest is not None:
            (epoch, value), self._latest = self._latest, None
            self.report({epoch: value})
            if epoch < self.epochs and self.trial.should_prune():
                self.prune_reason = (
                    f"{self.name} {metric(value)} after epoch {epoch} is worse than other trials'"
                )

    def report(self, curve: Curve) -> None:
        """Report the values of a curve to the trial, each epoch once."""
        for epoch, value in curve.items():
            if epoch not in self._reported:
                self._reported.add(epoch)
                self.trial.report(value, epoch)


def curves(epochs: Iterable[Mapping[str, Any]], name: str) -> dict[str, Curve]:
    """Collect the curve of each run from rows of the table `epochs`.

    Args:
        epochs: Rows of the table.
        name: The column of the curve.

    Returns:
        Epoch and value of each record, by `run_id`.
    """
    by_run: dict[str, Curve] = {}
    for row in epochs:
        if row[name] is not None:
            by_run.setdefault(row["run_id"], {})[row["epoch"]] = row[name]
    return by_run
