"""The page of all functions, from the registry and what was recorded: ``make docs`` writes docs/functions.md by it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from voltray.driver.analysis.special_functions import SPECIALS
from voltray.driver.catalog.builtin_functions import builtin_functions
from voltray.executors.functions.catalogue import FAMILIES
from voltray.executors.functions.registry import Function, FunctionKind

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "executors" / "functions" / "recorded"
GOLDEN = ROOT / "tests" / "conformance" / "golden"
_CALL = re.compile(r"\b([a-z_][a-z0-9_]*)\s*\(", re.IGNORECASE)
# Words of the grammar, table functions and calls that the analyzer knows by itself, each with where it stands.
_SYNTAX = {
    "!=": "operator", "<>": "operator", "||": "operator", "case": "syntax", "cast": "syntax", "range": "table",
    "sql_keywords": "table", "collations": "table",
}  # fmt: skip
_SYNTAX_FORMS = {"!=": "!=", "<>": "<>", "||": "||", "case": "CASE ", "cast": "CAST("}
_WORDS = ("and", "or", "not", "in", "between", "like", "ilike", "rlike", "regexp", "div")
# How a function differs from Spark's beyond what its entry says.
_DIFFERENCES = {
    "kurtosis": "The last digits: sums of powers, where Spark goes value by value.",
    "skewness": "The last digits: sums of powers, where Spark goes value by value.",
    "histogram_numeric": "Other bins where many are merged.",
    "input_file_block_length": "Blocks are those of our own splits.",
    "input_file_block_start": "Blocks are those of our own splits.",
    "monotonically_increasing_id": "Partitions are cut otherwise, so the numbers' upper bits differ.",
    "spark_partition_id": "Partitions are cut otherwise.",
    "mode": "Of several most frequent values the least; Spark takes any.",
    "rand": "The same numbers for a seed and a partition; partitions are cut otherwise.",
    "randn": "The same numbers for a seed and a partition; partitions are cut otherwise.",
    "percentile_approx": "Exact, within any accuracy that was asked for.",
    "approx_percentile": "Exact, within any accuracy that was asked for.",
}
_HEAD = """# Functions

All {listed} functions that Spark {release} lists, and {supported} that are supported. A name that is not supported is
refused with `UNRESOLVED_ROUTINE`. *Checked against* names what was recorded from real Spark: files of
`tests/executors/functions/recorded/` (one expression after another: name, type, nullability, value or error),
scripts of `tests/conformance/golden/` (`golden`), and the examples of PySpark's documentation (`doctests`).
This page is made by `make docs`.

| function | family | kind | supported | exact, or how it is done | checked against |
| --- | --- | --- | --- | --- | --- |
"""


def functions_document() -> str:
    """The page of all functions."""
    entries = _entries()
    sources = _sources()
    listed = builtin_functions()
    names = sorted({*listed, *(n for n, (_, f) in entries.items() if not f.internal and n.isidentifier())})
    rows = [_row(name, entries.get(name), sources.get(name, [])) for name in names]
    supported = sum(_is_supported(name, entries.get(name)) for name in listed)
    return _HEAD.format(listed=len(listed), supported=supported, release="4.1.1") + "\n".join(rows) + "\n"


def _entries() -> Mapping[str, tuple[str, Function]]:
    found: dict[str, tuple[str, Function]] = {}
    for family in FAMILIES:
        for function in family.FUNCTIONS:
            for name in function.names:
                found[name.lower()] = (family.__name__.rpartition(".")[2], function)
    return found


def _is_supported(name: str, entry: tuple[str, Function] | None) -> bool:
    return entry is not None or name in SPECIALS or name in _SYNTAX


def _row(name: str, entry: tuple[str, Function] | None, sources: list[str]) -> str:
    if entry is not None:
        family, function = entry
        kind = function.kind.value if function.kind is not FunctionKind.SCALAR else "scalar"
        notes = [_DIFFERENCES.get(name, ""), function.notes]
        how = " ".join(n for n in notes if n) or "exact"
    else:
        family, kind = ("casts by name and grouping", "scalar") if name in SPECIALS else ("", _SYNTAX.get(name, ""))
        how = "exact" if _is_supported(name, None) else ""
    supported = "yes" if _is_supported(name, entry) else "no"
    cells = (f"`{name}`", family, kind, supported, how, ", ".join(sources))
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def _sources() -> Mapping[str, list[str]]:
    """The recorded files that call each function."""
    found: dict[str, list[str]] = {}
    for path in sorted(RECORDED.glob("*.jsonl")):
        texts = [json.loads(line)["expression"] for line in path.read_text(encoding="utf-8").splitlines()]
        for name in _called(texts):
            found.setdefault(name, []).append(path.stem)
    scripts = [p.read_text(encoding="utf-8").splitlines() for p in sorted(GOLDEN.glob("*.jsonl"))]
    for name in _called([json.loads(line)["sql"] for script in scripts for line in script]):
        found.setdefault(name, []).append("golden")
    for name in _with_doctests():
        found.setdefault(name, []).append("doctests")
    return found


def _with_doctests() -> set[str]:
    """Functions whose examples in pyspark's documentation pass."""
    from pyspark.sql.connect.functions import builtin
    from pyspark.sql.functions import builtin as documented

    failures = (GOLDEN.parent / "expected_failures.tsv").read_text(encoding="utf-8").splitlines()
    wrong = {line.split("\t")[0].rpartition(".")[2].lower() for line in failures if "builtin" in line}
    examples = (n for n in dir(builtin) if ">>>" in (getattr(getattr(documented, n, None), "__doc__", None) or ""))
    return {name.lower() for name in examples} - wrong


def _called(texts: list[str]) -> set[str]:
    joined = "\n".join(texts)
    calls = {c.lower() for c in _CALL.findall(joined)}
    words = {*joined.lower().split(), *(w for w, form in _SYNTAX_FORMS.items() if form in joined.upper())}
    return calls | words & {*_SYNTAX_FORMS, *(n for n in builtin_functions() if not n.isidentifier() or n in _WORDS)}


if __name__ == "__main__":
    print(functions_document(), end="")
