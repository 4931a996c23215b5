"""The check of shell examples refuses what `rankbench` would refuse."""

from __future__ import annotations

import pytest

from tests.helpers.shell_examples import Command, check, commands_of, differs


def test_a_block_is_commands_with_what_they_print() -> None:
    block = "$ rankbench run smoke \\\n    seeds=1  # quick\n\nline\n$ make demo\n"
    assert commands_of(block) == [
        Command("rankbench run smoke      seeds=1  # quick", ("", "line")),
        Command("make demo"),
    ]
    assert commands_of("# why\nmake demo\n") == [Command("make demo")]


@pytest.mark.parametrize(
    "text",
    [
        "rankbench run smoke seeds=1 'space.branches.cp.layer.cp_rank=[1,2]'",
        "rankbench run STUDY results=s3://bucket/prefix",
        "rankbench run --help",
        "RANKBENCH_NATIVE=0 rankbench plan smoke  # without the native kernel",
        "make demo",
        "pip install -c constraints.txt -e '.[dev,docs]'",
        "python -m tests.faults --times 3",
    ],
)
def test_a_right_command_passes(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rankbench runn smoke", "COMMAND must be one of: run, work"),
        ("rankbench query", "the following arguments are required: SQL"),
        ("rankbench figures smoke --fast", "unrecognized arguments: --fast"),
        ("rankbench run smok", "study must be one of"),
        ("rankbench run smoke seed=1", "a key of the study must be one of"),
        ("rankbench run STUDY 'a=[1'", "[1"),
        ("rankbench nothing --help", "no command nothing"),
        ("RANKBENCH_NATIV=0 rankbench plan smoke", "no variable RANKBENCH_NATIV"),
        ("make cake", "make has no target {'cake'}"),
        ("pip install 'rankbench[cake]'", "no extra {'cake'}"),
        ("python -m tests.cake", "no module tests.cake"),
        ("python -m pytest tests/test_cake.py", "no tests/test_cake.py"),
        ("rm -rf results", "unknown program in an example: rm"),
    ],
)
def test_a_wrong_command_is_refused(text: str, said: str) -> None:
    with pytest.raises(Exception) as caught:
        check(text)
    assert said in str(caught.value)


def test_what_is_shown_agrees_with_what_was_printed() -> None:
    printed = ["3 runs in 0.52 s", "", "rmse   0.2501"]
    assert not differs(["3 runs in 0.52 s", "rmse 0.25"], printed)
    assert not differs(["3 runs", "...", "rmse 0.25"], printed)
    assert not differs(["3 runs in ... s", "rmse 0.25"], printed)
    for wrong in (["4 runs", "..."], ["...", "rmse 0.26"], ["..."][:0], ["3 runs in 0.52 s"]):
        assert differs(wrong, printed)
