"""Secrets reach the kernel's environment, and nothing that comes out of it: no result, no file of ours."""

from __future__ import annotations

import base64
import json
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel_exec import Executor, HostKernel, InvalidArgument, KernelStartError, Limits, Secrets, WrongType
from kernel_exec.kernels.kinds import KernelSettings
from kernel_exec.secrets import Veil
from kernel_exec.wire.messages import Message
from kernel_exec.wire.veiled import Veiled

pytestmark = pytest.mark.everywhere

KEY = "sk-Aa1<&>\"q/9'zZ+%-0123456789"
URL = "postgresql://user:pw@db.example.org/sales"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\nAASCBKcwggSjAgEAAoIBAQC7VJTU\n-----END KEY-----"
SECRETS = {"API_KEY": KEY, "DB_URL": URL, "PEM": PEM}
START = "import os\nkey, url, pem = (os.environ[name] for name in ('API_KEY', 'DB_URL', 'PEM'))"


@pytest.fixture(scope="module")
def ex(kernel: KernelSettings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """An executor with secrets, whose code knows them."""
    folder = tmp_path_factory.mktemp("secret")
    with Executor(kernel, workdir=folder, secrets=Secrets(SECRETS, patterns=[r"tok_[a-z]{8}"]), timeout=60) as executor:
        executor.execute(START).raise_for_error()
        yield executor


WAYS = {
    "whole": "print(key, url)\nprint(pem)",
    "in pieces": "for character in key + url: print(character, end='', flush=True)",
    "over fifty prints": (
        "size = len(url) // 50 + 1\nfor at in range(0, len(url), size): print(url[at : at + size], end='', flush=True)"
    ),
    "to standard error": "import sys\nprint(key, file=sys.stderr)",
    "by a process": "import subprocess\nprint(subprocess.run(['env'], capture_output=True, text=True).stdout)",
    "by a shell": '!echo "$API_KEY" "$DB_URL"',
    "written to the descriptor": "os.write(1, key[:9].encode()); os.write(1, key[9:].encode())",
    "as a result": "key",
    "in a list": "{'key': [key, url], url: pem}",
    "the environment": "dict(os.environ)",
    "in an exception": "raise ValueError(f'cannot log in at {url} with {key}')",
    "in a chain of exceptions": "try:\n    raise KeyError(key)\nexcept KeyError as e:\n    raise OSError(url) from e",
    "as the name of an exception": "raise type(key, (Exception,), {})()",
    "in a warning": "import warnings\nwarnings.warn(f'{key} is about to expire')",
    "in a frame": "import pandas as pd\npd.DataFrame({'key': [key], 'at': [url]})",
    "as a column": "import pandas as pd\npd.DataFrame({key: [1]})",
    "in HTML": "from IPython.display import HTML\nHTML(f'<b>{key}</b><a href={url!r}>x</a>')",
    "escaped in HTML": "import html\nfrom IPython.display import HTML\nHTML(f'<b>{html.escape(key)}</b>')",
    "in JSON": "import json\nprint(json.dumps({'key': key, 'pem': pem}))",
    "in an URL": "from urllib.parse import quote\nprint(quote(key, safe=''), quote(url))",
    "in Markdown": "from IPython.display import Markdown as M, display\ndisplay(M(f'# {key}'), metadata={'of': url})",
    "updated": "from IPython.display import display\nshown = display(1, display_id=True)\nshown.update({'key': key})",
    "as the name of a file": "open('of ' + pem.splitlines()[1], 'w').close()",
    "rewritten by a carriage return": "print(key[:9] + 'X\\b' + key[9:])",
    "between displays": "print(url[:9], end='')\ndisplay(1)\nprint(url[9:], end='')",
    "in a widget": "import ipywidgets\nipywidgets.Text(value=key)",
    "asked for": "input(f'{key}?')",
    "that a pattern knows": "print('tok_abcdefgh')",
    "in the code": f"copied = {URL!r}",
    "half of it": "print(url[:25] + '...')",
    "a line of it": "print(pem.splitlines()[1])",
    "in a thread": "import threading as t\nthread = t.Thread(target=lambda: print(url))\nthread.start(); thread.join()",
    "by a log": "import logging\nlogging.getLogger('x').error('at %s', url)",
}
SEEN = (KEY, URL, *PEM.splitlines()[1:3], "tok_abcdefgh", json.dumps(KEY)[1:-1], repr(KEY)[1:-1], URL[:25])


def all_of(result: Any) -> str:
    """All that a result says."""
    said = [result.stdout, result.stderr, result.text, repr(result), json.dumps(result.outputs), *result.notes]
    return "\n".join([*said, repr(result.error), *(result.error.traceback if result.error else ())])


@pytest.mark.parametrize("way", WAYS)
def test_it_is_in_no_result_and_in_no_file_of_ours(ex: Executor, way: str) -> None:
    shown: list[Any] = []
    result = ex.execute(WAYS[way], on_output=shown.append, on_input=lambda *_: "")
    said = all_of(result) + json.dumps(shown) + "".join(item.get("text", "") for item in shown)
    for seen in SEEN:
        assert seen not in said
    assert "[secret" in said or way in ("in the code", "as the name of a file", "in a widget", "asked for")
    assert ex.notebook_path is not None
    for path in [ex.notebook_path, *ex.workdir.glob("session_files/*")]:
        text = path.read_bytes().decode("utf-8", "replace")
        for seen in SEEN:
            assert seen not in text
            assert json.dumps(seen)[1:-1] not in text


def test_the_code_has_them(ex: Executor) -> None:
    assert ex.execute(f"(key, url, pem) == {(KEY, URL, PEM)!r}").text == "True"
    assert ex.get("url") == URL


def test_previews(ex: Executor) -> None:
    previews = {variable.name: variable.preview for variable in ex.variables()}
    assert URL not in str(previews)
    assert "[secret DB_URL]" in previews["url"]
    assert URL not in str(ex.inspect("url"))


def test_what_is_documented_as_seen(ex: Executor) -> None:
    encoded = base64.b64encode(URL.encode()).decode()
    assert encoded in ex.execute("import base64\nprint(base64.b64encode(url.encode()).decode())").stdout


def test_a_long_text_is_masked_in_its_file(kernel: KernelSettings, tmp_path: Path) -> None:
    limits = Limits(output_bytes=100_000, text=1000)
    with Executor(kernel, workdir=tmp_path, secrets=SECRETS, limits=limits, timeout=60) as ex:
        ex.execute(START)
        result = ex.execute("print(('x' * 997 + url) * 3000)")
        assert result.truncated
        long = ex.execute("from IPython.display import HTML\nHTML(('<p>' + url) * 20_000)")
        assert long.notes
        files = list(ex.workdir.glob("session_files/*"))
        assert sum(path.stat().st_size for path in files) > 2_000_000
        for path in files:
            text = path.read_text(encoding="utf-8")
            assert URL not in text
            assert "[secret DB_URL]" in text
        assert URL not in all_of(result) + all_of(long)


def test_a_kernel_that_dies_with_one_on_its_lips(kernel: KernelSettings, tmp_path: Path) -> None:
    with Executor(kernel, workdir=tmp_path, secrets=SECRETS, timeout=60) as ex:
        result = ex.execute(f"{START}\nprint(url)\nprint(url[:30], end='', flush=True)\nos._exit(3)")
        assert result.status == "died"
        assert URL not in all_of(result)
        assert URL[:30] not in all_of(result)
        fresh = ex.execute(f"{START}\nprint(url)")
        assert fresh.stdout == "[secret DB_URL]\n"


def test_the_stock_kernel(stock: KernelSettings, tmp_path: Path) -> None:
    with Executor(stock, workdir=tmp_path, secrets=SECRETS, timeout=60) as ex:
        result = ex.execute(f"{START}\nprint(url)\nprint(('x' * 997 + url) * 3000)")
        assert URL not in all_of(result)
        assert result.stdout.startswith("[secret DB_URL]\n")


def test_nothing_is_told_in_logs_or_by_the_executor(ex: Executor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        ex.execute("print(url)")
        ex.restart()
        ex.execute(START)
    assert URL not in caplog.text + repr(ex) + repr(ex.metrics) + repr(Secrets(SECRETS))


@pytest.mark.host_only("no kernel")
class TestPure:
    """Without a kernel."""

    def test_text_that_comes_in_pieces(self) -> None:
        veil = Veil(Secrets({"A": "abcabcabd"}))
        whole = "x abcabcabcabd abcabc abcabcabd"
        for size in range(1, len(whole)):
            pieces = [whole[at : at + size] for at in range(0, len(whole), size)]
            assert "".join(veil.pieces(pieces)) == "x abc[secret A] abcabc [secret A]"

    @given(st.text("ab", min_size=4, max_size=8), st.text("abc", max_size=12))
    def test_how_much_is_held_back(self, value: str, text: str) -> None:
        begun = [length for length in range(1, len(value)) if text.endswith(value[:length])]
        assert Veil(Secrets({"A": value})).held(text) == max(begun, default=0)

    def test_what_is_held_back_comes_when_the_cell_ends(self) -> None:
        veiled = Veiled(Veil(Secrets({"A": "abcd"})))

        def stream(text: str, name: str = "stdout", parent: str = "1") -> list[str]:
            message = Message("iopub", "stream", "m", parent, {"name": name, "text": text})
            return [one.content["text"] for one in veiled.messages(message)]

        def idle(parent: str) -> list[Any]:
            message = Message("iopub", "status", "m", parent, {"execution_state": "idle"})
            return [one.content.get("text", one.msg_type) for one in veiled.messages(message)]

        assert (stream("x ab"), stream("c", "stderr"), stream("ab", parent="2")) == (["x "], ["c"], [])
        assert stream("c") == []
        assert stream("e") == ["abce"]
        assert stream("ab") == []
        assert idle("1") == ["ab", "status"]
        assert idle("2") == ["ab", "status"]
        assert idle("1") == ["status"]

    def test_names_and_numbers_stay_what_they_are(self) -> None:
        veil = Veil(Secrets({"A": "abcd"}))
        value = {"abcd": [1, None, True, ("x abcd", 2.5)]}
        assert veil.data(value) == {"[secret A]": [1, None, True, ("x [secret A]", 2.5)]}
        nothing = Veil(Secrets())
        assert nothing.data(value) is value
        assert not nothing

    @pytest.mark.parametrize(
        ("make", "error"),
        [
            (lambda: Secrets({"A": "abc"}), InvalidArgument),
            (lambda: Secrets({"A": 3}), WrongType),  # type: ignore[dict-item]
            (lambda: Secrets({"A=B": "abcd"}), InvalidArgument),
            (lambda: Secrets({"A": "ab\0cd"}), InvalidArgument),
            (lambda: Secrets(["abcd"]), WrongType),  # type: ignore[arg-type]
            (lambda: Secrets({}, patterns="x"), WrongType),
            (lambda: Secrets({}, patterns=["("]), InvalidArgument),
            (lambda: Secrets({}, patterns=[3]), WrongType),  # type: ignore[list-item]
            (lambda: Executor(secrets="abcd"), WrongType),  # type: ignore[arg-type]
        ],
    )
    def test_what_cannot_work_and_says_no_value(self, make: Callable[[], object], error: type[Exception]) -> None:
        with pytest.raises(error) as raised:
            make()
        assert not re.search("abcd?|ab.cd", str(raised.value))


@pytest.mark.host_only("what comes out is masked here")
def test_a_secret_that_is_a_number(fresh: Callable[..., Executor]) -> None:
    ex = fresh(secrets={"PIN": "1234567890123"})
    code = "import os\nfrom IPython.display import JSON, display\npin = int(os.environ['PIN'])\n"
    result = ex.execute(code + "display(JSON({'pin': pin, 'list': [1, 2.5, pin]}))\npin")
    assert result.outputs[0]["data"]["application/json"] == {
        "pin": "[secret PIN]",
        "list": [1, 2.5, "[secret PIN]"],
    }
    assert ex.notebook_path is not None
    assert "1234567890123" not in repr(result) + str(result.outputs) + ex.notebook_path.read_text()


@pytest.mark.host_only("a kernel of the host that does not start")
def test_a_kernel_that_tells_it_as_it_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kernels" / "leaky"
    folder.mkdir(parents=True)
    argv = ["/bin/sh", "-c", "echo no login with $API_KEY >&2; exit 1", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "x", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    secret = "sk-0123456789abcdef"
    with pytest.raises(KernelStartError, match=r"no login with \[secret API_KEY\]"):
        Executor(HostKernel(kernel_name="leaky"), secrets={"API_KEY": secret}).start()
