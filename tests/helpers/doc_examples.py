"""Every example of a page, for sybil: Python, what it prints, YAML and shell.

- `python` is executed; the names of a page are shared. A block of doctest lines is a doctest.
- `text` right after it is what it prints.
- `yaml` that begins with `# NAME.yaml` is saved by that name; a whole study is loaded.
- `console` with output is run, without output checked. A comment right before it changes that:
  `<!-- example: run -->`, or `<!-- example: recorded, REASON -->` for output that takes too long,
  other data or other machines, which is checked as a command only.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from sybil import Document, Example, Region, Sybil
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser

from rankbench.study.config import load_study
from tests.helpers.shell_examples import check, commands_of, differs, run

MARK = re.compile(r"<!-- example: (run|recorded, .+) -->\s*$")


class PythonParser(PythonCodeBlockParser):
    """Python whose output is kept, for the `text` block after it."""

    def __call__(self, document: Document) -> Iterable[Region]:
        for region in super().__call__(document):
            region.evaluator = _printing(region.evaluator)
            yield region


def _printing(evaluate: Any) -> Any:
    def evaluated(example: Example) -> Any:
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            said = evaluate(example)
        example.namespace["__printed__"] = (example.region.end, out.getvalue().splitlines())
        return said

    return evaluated


def compare_text(example: Example) -> str | None:
    """Compare a `text` block with what the Python right before it printed."""
    end, printed = example.namespace.get("__printed__", (0, []))
    between = example.document.text[end : example.region.start]
    if between.strip() or not end:
        return None
    return differs(example.parsed.splitlines(), printed) or None


def evaluate_yaml(example: Example) -> None:
    """Load a study; save one that begins with its name."""
    content = yaml.safe_load(example.parsed)
    named = re.match(r"# (\w[\w-]*\.yaml)", example.parsed)
    if not isinstance(content, dict) or not {"task", "space"} <= set(content):
        assert named is None, "only a whole study is saved"
        return
    path = Path(named[1] if named else "unnamed.yaml")
    path.write_text(example.parsed)
    load_study(str(path))


def evaluate_shell(example: Example) -> str | None:
    """Run or check every command of a block."""
    mark = MARK.search(example.document.text[: example.region.start])
    for command in commands_of(example.parsed):
        if mark and mark[1] != "run":
            check(command.text)
        elif mark or command.output:
            printed = run(command.text)
            if command.output and (why := differs(command.output, printed)):
                return f"{command.text}\n{why}"
        else:
            check(command.text)
    return None


EXAMPLES = Sybil(
    parsers=[
        PythonParser(),
        CodeBlockParser("text", compare_text),
        CodeBlockParser("yaml", evaluate_yaml),
        CodeBlockParser("console", evaluate_shell),
    ],
    pattern="*.md",
)


@contextlib.contextmanager
def parsed(path: Path) -> Iterator[Document]:
    """A page whose names are those of a module, which dataclasses ask for."""
    document = EXAMPLES.parse(path)
    module = ModuleType("page")
    document.namespace = vars(module)
    sys.modules["page"] = module
    try:
        yield document
    finally:
        del sys.modules["page"]
