"""`rankbench work`: join a study that several machines share."""

from __future__ import annotations

import argparse

from rankbench.cli.parsing.command import Command
from rankbench.cli.parsing.options import STUDY_DETAILS, add_study
from rankbench.cli.run import list_studies, measure


def work(arguments: argparse.Namespace) -> int:
    """Measure runs from a shared queue until none is left; list the studies if none is given."""
    return list_studies() if arguments.study is None else measure(arguments, fill=False)


COMMAND = Command(
    name="work",
    help="Join a study that machines share in PostgreSQL.",
    details=STUDY_DETAILS
    + """

`rankbench run` with the same study and storage= fills the queue. Start `work`
on as many machines as there are, and stop it at any time.""",
    examples=(
        "rankbench work smoke storage=postgresql://USER@HOST/DATABASE results=s3://BUCKET/results",
        "rankbench work study.yaml --results /shared/results",
    ),
    add_options=add_study,
    execute=work,
)
