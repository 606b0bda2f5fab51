"""Texts: what is noise in which kind of text, and what is not."""

from __future__ import annotations

from datetime import date

import pytest

from kernel_exec.compare import Difference, Rules, Sanitizer
from kernel_exec.compare.terms import Manner, Terms
from kernel_exec.compare.texts import text_differences

THEN, NOW = date(2024, 3, 1), date(2026, 11, 27)


def found(old: str, new: str, manner: Manner, rules: Rules | None = None) -> list[Difference]:
    return text_differences(old, new, Terms(rules or Rules()), manner)


@pytest.mark.parametrize(
    ("old", "new", "log", "result", "data"),  # noise there?
    [
        ("<A at 0x7f2e083fc150>", "<A at 0x7febed978b90>", True, True, True),
        ("at 0x55d0a1b2c3d0", "at 0xffff8a3c1d20", True, True, True),
        ("0xff", "0xfe", False, False, False),
        ("0x10000000000", "0x10000000001", False, False, False),
        ("/tmp/tmpab12cd34", "/tmp/tmpzz99yy88", True, True, True),
        ("/tmp/tmpabcdefgh", "/tmp/tmpgfedcbaz", True, True, True),
        ("/tmp/tmp.Ab3dEfGhIj", "/tmp/tmp.X3dEfGhIjk", True, True, True),
        ("/tmp/tmpab12cd34/a.csv", "/tmp/x/a.csv", True, True, True),
        ("/tmp/tmpab12cd34/a.csv", "/tmp/tmpab12cd34/b.csv", False, False, False),
        ("/tmp/sales.csv", "/tmp/costs.csv", False, False, False),
        ("/data/a/sales.csv", "/data/b/sales.csv", False, False, False),
        ("/tmp/ipykernel_12/34.py:1", "/tmp/ipykernel_99/88.py:1", True, True, True),
        ("cd5c7fa2-0a8b-4d29-a6a5-6a1a3f0b9c11", "0b6ad14e-5ab1-4c0e-9c52-4b1b9f0a2d33", True, True, False),
        ("numpy 1.26.4", "numpy 2.4.6rc1", True, True, False),
        ("Python 3.11", "Python 3.13", True, True, False),
        ("ratio 3.11", "ratio 3.13", False, False, False),
        ("31.12.2024", "30.12.2024", False, False, False),
        ("10.0.0.1", "10.0.0.2", False, False, False),
        ("took 1.5 s", "took 3 ms", True, False, False),
        ("done in 2 min", "done in 3 min", True, False, False),
        ("width 1.5 s", "width 3 s", False, False, False),
        ("12.5it/s", "9it/s", True, False, False),
        ("5it [00:01, 12.5it/s]", "5it [00:09,  1.1s/it]", True, False, False),
        ("[1234, 5/3]", "[1234, 5/4]", False, False, False),
        ("[12:30, 5]", "[12:31, 5]", False, False, False),
        ("9/9 - 3s 21ms/step - loss: 0.5", "9/9 - 1s 7ms/step - loss: 0.5", True, False, False),
        ("/usr/lib/python3/dist-packages/a/b.py:12: W", "/srv/dist-packages/a/b.py:13: W", True, False, False),
        ("/usr/lib/dist-packages/a/b.py:12: W", "/usr/lib/dist-packages/a/c.py:12: W", False, False, False),
        ("Cell In[3], line 1", "Cell In[4], line 1", True, True, False),
        ("pid: 123", "pid: 99", True, False, False),
        ("12:30:45 start", "13:31:46 start", True, False, False),
        ("CPU times: user 1 ms", "CPU times: user 31 ms, total: 2 s", True, False, False),
        ("3 ms ± 1 ms per loop (x)", "4 ms ± 2 ms per loop (y)", True, True, False),
        ("\x1b[31mred\x1b[0m", "red", True, True, True),
        ("2024-01-01 12:00:00 ok", "2024-01-02 13:00:00 ok", True, False, False),
        ("2024-01-01 ok", "2024-01-02 ok", False, False, False),
        ("a    1", "a 1  ", True, True, True),
        ("a1", "a 1", False, False, False),
        ("{'a', 'b'}", "{'b', 'a'}", True, True, True),
        ("{'a': {1: [1.0, 2.0]}}", "{'a': {1: [1.0, 2.0000000000001]}}", True, True, True),
        ("{'v': '1.2.3'}", "{'v': '1.2.4'}", True, True, False),
        ("{'v': '1.2.3', 'w': 1}", "{'w': 1, 'v': '1.2.4'}", True, True, False),
        ("{'at': 0x7f2e083fc150, 'b': 1}", "{'at': 0x7febed978b90, 'b': 1}", True, True, True),
        ("[1, 2]", "[2, 1]", False, False, False),
        ("{'a': 1}", "{'a': 1.0}", False, False, False),
        ("[{'x'}, 1]", "({'x'}, 1)", False, False, False),
        ("1e-17", "-2.2e-16", True, True, True),
        ("1e-9", "2e-9", False, False, False),
        ("1e-14", "2e-14", False, False, False),
        ("0.30000000000000004", "0.3", True, True, True),
        ("1000000001", "1000000002", False, False, False),
        ("1.0", "1", False, False, False),
        ("-0.0", "0.0", True, True, True),
        ("007", "7", False, False, False),
        ("nan", "nan", True, True, True),
        ("inf", "-inf", False, False, False),
        ("v1.10", "v1.1", False, False, False),
        ("3fa9c1", "3fa9c2", False, False, False),
    ],
)
def test_noise(old: str, new: str, log: bool, result: bool, data: bool) -> None:
    manners: list[Manner] = ["log", "result", "data"]
    assert [not found(old, new, manner) for manner in manners] == [log, result, data]
    assert [not found(new, old, manner) for manner in manners] == [log, result, data]


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("2024-03-01", "2026-11-27", True),
        ("2024-02-29 23:59:59.5+00:00", "2026-11-28T00:00:01Z", True),  # other time zones
        ("datetime.datetime(2024, 3, 1, 9, 30, 1, 5)", "datetime.datetime(2026, 11, 27, 8, 0)", True),
        ("Fri Mar  1 09:30:01 2024", "Fri Nov 27 11:54:02 UTC 2026", True),
        ("Fri, 01 Mar 2024 09:30:01", "Fri, 27 Nov 2026 11:54:02", True),
        ("01/03/2024", "27/11/2026", True),
        ("03/01/2024", "11/27/2026", True),
        ("3/1/2024, 9:30:01 AM", "11/27/2026, 1:05:00 PM", True),
        ("01.03.2024 09:30", "27.11.2026 13:05", True),
        ("Friday 01 March 2024, 09:30 AM", "Friday 27 November 2026, 01:05 PM", True),
        ("March 1, 2024 at 9:30", "November 27, 2026 at 13:05", True),
        ("31.12.2023 10:00", "31.12.2023 11:00", False),
        ("5 May 2023, 09:30 AM", "5 May 2023, 09:30 PM", False),
        ("1709285401.5", "1795780000.25", True),
        ("1709285401", "1795780000", True),
        ("2024-01-01", "2026-11-27", False),
        ("2024-03-01", "2025-03-01", False),
        ("2023-05-05 10:00:00", "2023-05-06 10:00:00", False),
        ("1609285401.5", "1795780000.25", False),
        ("2024-13-41", "2024-13-42", False),
    ],
)
def test_a_date_is_noise_where_it_is_the_day_of_the_run(old: str, new: str, same: bool) -> None:
    for manner in ("log", "result", "data"):
        assert (not text_differences(old, new, Terms(Rules(), THEN, NOW), manner)) == same


def test_of_a_recording_without_times_a_date_is_noise_where_the_new_one_is_today() -> None:
    terms = Terms(Rules(), None, NOW)
    assert text_differences("2021-05-05", "2026-11-27", terms, "result") == []
    assert text_differences("2021-05-05", "2021-05-06", terms, "result")
    assert text_differences("2027-05-05", "2026-11-27", terms, "result")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mean 41.0", "mean 42.0", "41.0 -> 42.0 (tolerance 1e-09)"),
        ("a\nb 1\nc\nd", "a\nb 2\nc\ne", "line 2: 1 -> 2, and 1 more line"),
        ("a\nb\nc", "a\nc", "line 2: 1 line gone: 'b'"),
        ("a\nc", "a\nb1\nb2\nc", "line 2: 2 lines new: 'b1'"),
        ("a\nb\nc", "a\nx\ny\nc", "line 2: 1 line gone, 2 lines new: 'b'"),
        ("{'a': 1, 'b': {2}}", "{'b': {3}, 'a': 1}", "['b']: {2} -> {3}"),
        ("a", "", "line 1: 1 line gone: 'a'"),
    ],
)
def test_messages(old: str, new: str, message: str) -> None:
    assert [difference.message for difference in found(old, new, "result")] == [message]


def test_lines_that_are_there_by_chance() -> None:
    old = "The slowest run took 5.49 times longer than the fastest.\nCompiler : 101 ms\nCPU times: user 1 s"
    assert found(old, "CPU times: user 2 s", "log") == []
    assert found(old, "CPU times: user 2 s", "result")


def test_patterns_of_users() -> None:
    rules = Rules(sanitize=(Sanitizer(r"run-\d+", "run-N"), Sanitizer("^secret.*$", "")))
    assert found("run-12\nsecret a", "run-7\nsecret b", "result", rules) == []
    assert found("run-12\nsecret a", "fun-7\nsecret b", "result", rules)


def test_work_directories_are_the_same_one() -> None:
    rules = Rules().with_directories(["/data/a/work", "/srv/b"])
    assert found("read /data/a/work/x.csv", "read /srv/b/x.csv", "log", rules) == []
    assert found("read /data/a/workshop/x.csv", "read /srv/b/x.csv", "log", rules)


def test_what_is_told_cannot_harm_a_terminal() -> None:
    (difference,) = found("\x1b]0;title\x07\x9b31mx\x00", "y", "log")
    assert all(char.isprintable() or char == "\n" for char in difference.message + difference.old + difference.new)
