"""A session as a page that needs nothing but itself."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from kernel_exec.errors import InvalidArgument
from kernel_exec.pages.cells import cell_html
from kernel_exec.pages.document import POLICY, page, policy_with
from kernel_exec.pages.facts import facts_of
from kernel_exec.pages.session import anchor, header_html, title_of
from kernel_exec.recording import is_recorded
from kernel_exec.recording.source import Program, read_file


def page_of_file(notebook: Path, *, scripts: bool = False) -> str:
    """Return a notebook as a page.

    Args:
        notebook: any notebook that can be read.
        scripts: show HTML that has scripts in frames of its own, where they run; without, no script runs.

    Raises:
        NotebookError: it cannot be read, or is no notebook.
    """
    program = read_file(notebook)
    nonce = secrets.token_hex(16) if scripts else ""
    return page_of(program, notebook.name, recorded=is_recorded(notebook), nonce=nonce)


def page_of(program: Program, name: str, *, recorded: bool = False, nonce: str = "") -> str:
    """Return what was read of a notebook as a page.

    Args:
        program: the notebook.
        name: of its file.
        recorded: whether somebody records into it now.
        nonce: for the scripts of outputs, which nobody can guess; "" to run none.
    """
    facts = [facts_of(cell, recorded=recorded) for cell in program.cells]
    title = title_of(program, name)
    cells = (
        cell_html(cell, fact, anchor=anchor(index), language=program.language, nonce=nonce)
        for index, (cell, fact) in enumerate(zip(program.cells, facts, strict=True))
    )
    head = header_html(program, facts, title=title, name=name)
    body = "\n".join((head, "<main>", *cells, "</main>"))
    return page(title, body, policy=policy_with(nonce) if nonce else POLICY)


def write_page(notebook: Path, output: Path | None = None, *, scripts: bool = False) -> Path:
    """Write a notebook as a page; return where it is.

    Args:
        notebook: any notebook that can be read; it is not changed.
        output: the page; None for the notebook's name with `.html`, in the current directory.
        scripts: as for `page_of_file`.

    Raises:
        NotebookError: it cannot be read, or is no notebook.
        InvalidArgument: the page would take the notebook's place.
        OSError: the page cannot be written.
    """
    target = output if output is not None else Path(f"{notebook.stem}.html")
    with contextlib.suppress(OSError):
        if target.samefile(notebook):
            raise InvalidArgument(f"the page would take the place of the notebook {str(notebook)!r}: name another one")
    made = page_of_file(notebook, scripts=scripts).encode("utf-8", "replace")
    if target.exists() and not target.is_file():  # a terminal, a pipe
        target.write_bytes(made)
        return target
    # In one step: nobody finds half a page, and an older one stays when there is no room.
    hidden = target.with_name(f".{secrets.token_hex(8)}.kernel_exec")
    try:
        hidden.write_bytes(made)
        os.replace(hidden, target)
    except BaseException:
        hidden.unlink(missing_ok=True)
        raise
    return target
