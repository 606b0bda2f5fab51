"""Rules: written in pyproject.toml, in nbval's sanitise files, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from kernel_exec.compare import Rules, Sanitizer, cell_differences, nearest_rules, sanitizers_of
from kernel_exec.errors import InvalidArgument
from tests.compare.cells import cell, stream

NBVAL = r"""
[regex1]
regex: \d{1,2}/\d{1,2}/\d{2,4}
replace: DATE-STAMP

[regex2]
regex: <graphviz.*>
replace:
"""


def test_the_nearest_file_that_has_rules(tmp_path: Path) -> None:
    (tmp_path / "notebooks" / "deep").mkdir(parents=True)
    (tmp_path / "pyproject.toml").write_text(
        "[tool.kernel_exec.verify]\n"
        "relative = 1e-6\n"
        "absolute = 0\n"
        'ignore = ["stderr"]\n'
        'ignore_artifacts = ["*.log"]\n'
        'sanitize = [{ regex = "run-[0-9]+", replace = "run-N" }]\n'
        'sanitize_with = ["nbval.cfg"]\n'
        "marked_only = true\n"
    )
    (tmp_path / "nbval.cfg").write_text(NBVAL)
    (tmp_path / "notebooks" / "pyproject.toml").write_text("[project]\nname = 'other'\n")
    rules = nearest_rules(tmp_path / "notebooks" / "deep" / "a.ipynb")
    assert (rules.relative, rules.absolute, rules.image) == (1e-6, 0.0, Rules().image)
    assert rules.ignore == {"stderr"}
    assert rules.ignores_artifact("logs/a.log")
    assert rules.marked_only
    assert rules.sanitized("run-12 1/2/2024 <graphviz x>") == "run-N DATE-STAMP "


def test_no_rules(tmp_path: Path) -> None:
    assert nearest_rules(tmp_path) == Rules()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("tolerance = 1", "'tolerance'"),
        ("relative = '1'", "relative"),
        ("relative = true", "relative"),
        ("relative = -1", "relative"),
        ("relative = nan", "relative"),
        ("image = inf", "image"),
        ("ignore = 'stderr'", "ignore"),
        ("ignore = ['stdin']", "'stdin'"),
        ("ignore_artifacts = [1]", "ignore_artifacts"),
        ("marked_only = 1", "marked_only"),
        ("sanitize = 1", "sanitize"),
        ("sanitize = [{ regex = 'a' }]", "sanitize"),
        ("sanitize = [{ regex = 'a', replace = 1 }]", "sanitize"),
        ("sanitize = [{ regex = '(', replace = '' }]", "sanitize"),
        ("sanitize = [{ regex = 'a', replace = '\\1' }]", "sanitize"),
        ("sanitize_with = ['none.cfg']", "sanitize_with"),
        ("relative =", "cannot be read"),
    ],
)
def test_what_is_refused_names_key_and_file(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(f"[tool.kernel_exec.verify]\n{text}\n")
    with pytest.raises(InvalidArgument) as refused:
        nearest_rules(tmp_path)
    assert named in str(refused.value)
    assert str(file) in str(refused.value)


def test_a_table_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.kernel_exec]\nverify = 1\n")
    with pytest.raises(InvalidArgument, match="must be a table"):
        nearest_rules(tmp_path)


def test_sanitise_files_of_nbval() -> None:
    assert sanitizers_of(NBVAL) == (
        Sanitizer(r"\d{1,2}/\d{1,2}/\d{2,4}", "DATE-STAMP"),
        Sanitizer("<graphviz.*>", ""),
    )
    with pytest.raises(InvalidArgument):
        sanitizers_of("regex: (\nreplace: x\n")


def test_patterns_count_in_a_very_long_text() -> None:
    old, new = (cell(stream("x" * 1_500_000 + f"\nin {place}/a.csv\n" + "x" * 1_500_000)) for place in ("/old", "/new"))
    assert cell_differences(old, new)
    assert cell_differences(old, new, Rules().with_directories(["/old", "/new"])) == []
