"""Cells of a notebook that run in another kernel: `%load_ext kernel_exec.magics`, then `%%kx`.

    %%kx lab -i prices -o total
    total = sum(prices)

The cell runs in the session `lab`, an executor of its own that is made when it is first named. What it puts out appears
here while it runs, as it would in the session's own notebook: text, displays and their updates, progress bars,
pictures, questions that `input()` asks. Its error is this cell's error. The notebook's interrupt button interrupts the
session's cell and keeps both kernels and their variables; pressed again, it ends the session's kernel.

| line | meaning |
|---|---|
| `%%kx [NAME] [options]` | run the cell; without NAME in the default session |
| ... `-i VAR`, `-o VAR` | copy variables in before it, and out after it; `-o a,b`, or several |
| ... `--timeout S` | stop it after so long |
| ... `--bg` | return at once; several queue up, and `%kx result` shows them one by one, `-o` included |
| `%kx start NAME [options]` | make a session |
| ... `--docker [IMAGE]` | in a container, of the default image if none is named |
| ... `--kernel NAME` | with another kernelspec |
| ... `--memory 1g`, `--cpus N` | with these limits |
| ... `--timeout S` | each of its cells; without it they have no bound |
| ... `--workdir DIR`, `--notebook PATH` | where it works, and where it is recorded |
| ... `--network NAME` | of a container: none, bridge, ..., or the hosts that it may reach, with commas |
| `%kx use NAME` | make it the default; that is the first one otherwise, and `main` where there is none |
| `%kx list` | the sessions, what they do, and which is the default |
| `%kx result [NAME]` | wait for the oldest cell in the background, and show what came |
| `%kx interrupt [NAME]`, `%kx restart [NAME]` | its running cell; its kernel |
| `%kx stop [NAME]`, `%kx stop --all` | end it, and remove what is temporary |
| `%kx save PATH [NAME]` | copy its recording, with the files of values that were put into it |
| `%kx replay NOTEBOOK [NAME]` | run that notebook's cells in it, up to one that fails unexpectedly |
| `%kx help`, `%kx?` | all that on one screen |

Bodies and lines are taken literally: `$x` and `{x}` stand for themselves.

A session's work directory is a temporary one, and its recording is in it, unless `--workdir` or `--notebook` say
otherwise; both go when the session ends: at `%kx stop`, at `%unload_ext`, and with this notebook's kernel, however that
ends. A session on the host is no sandbox. One in a container is, for its code; but what it displays, HTML and scripts
included, is shown by your browser as this notebook's own. Where you do not trust it, run it with `kernel-exec run`.

`%kx replay` in a session that there is runs the cells there. For one that there is not it makes it as the notebook
says: its kernel, its directory, and a recording beside it as NAME.replay.ipynb, as `kernel_exec.replay` does.

In IPython on a terminal text appears as text and a picture as a line such as "[image/png 640x480]". Programs that run
notebooks (nbclient, papermill) see what a person would see. What cannot be done is a UsageError of one line.
"""

from __future__ import annotations

from IPython.core.interactiveshell import InteractiveShell

from kernel_exec.magics.kx import Kx

__all__ = ["Kx", "load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Add `%kx` and `%%kx`, and their completion (called by `%load_ext`)."""
    Kx(shell).load()


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away, and close all sessions that were made (called by `%unload_ext` and `%reload_ext`)."""
    loaded = shell.magics_manager.registry.get(Kx.__name__)
    if loaded is not None:
        loaded.unload()
