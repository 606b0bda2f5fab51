"""What can be said on the command line about kernelspecs."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any, Literal

_KERNELSPEC = """\
Our kernels in the launchers of others: JupyterLab, nbclient and papermill start a kernelspec that was installed so by
its name, on this machine or in a container.
"""


@dataclass(frozen=True, slots=True)
class InstallArguments:
    """What `kernel-exec kernelspec install` was asked for.

    Attributes:
        kind: where the kernel runs.
        name: of the kernelspec.
        display_name: what front ends show; None for one that says where it runs.
        image: of the container; None for the default one.
        requirements: packages that the image is to have.
        memory: how much everything in the container may hold; None for the default.
        cpus: how many processors it may use; None for the default.
        network: the network of the container; None for none.
        user: install it for this user only.
        prefix: install it below this directory.
    """

    kind: Literal["host", "docker"]
    name: str
    display_name: str | None
    image: str | None
    requirements: tuple[str, ...]
    memory: str | None
    cpus: str | None
    network: str | None
    user: bool
    prefix: str | None


@dataclass(frozen=True, slots=True)
class ListArguments:
    """What `kernel-exec kernelspec list` was asked for.

    Attributes:
        json: print one JSON document instead of lines.
    """

    json: bool


@dataclass(frozen=True, slots=True)
class RemoveArguments:
    """What `kernel-exec kernelspec remove` was asked for.

    Attributes:
        name: of the kernelspec.
    """

    name: str


KernelspecArguments = InstallArguments | ListArguments | RemoveArguments


def add_kernelspec(commands: Any) -> None:
    """Add `kernelspec`."""
    group = commands.add_parser("kernelspec", help="our kernels in JupyterLab's launcher", description=_KERNELSPEC)
    actions = group.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_install(actions.add_parser("install", help="install a kernelspec, or replace it", allow_abbrev=False))
    shown = actions.add_parser("list", help="show those that are installed", allow_abbrev=False)
    shown.add_argument("--json", action="store_true", help="print one JSON document, and nothing else")
    shown.set_defaults(make=lambda options: ListArguments(options.json))
    gone = actions.add_parser("remove", help="remove one", allow_abbrev=False)
    gone.add_argument("name", metavar="NAME", help="its name")
    gone.set_defaults(make=lambda options: RemoveArguments(options.name))


def _add_install(command: argparse.ArgumentParser) -> None:
    command.add_argument("--kind", choices=("docker", "host"), required=True, help="where the kernel runs")
    command.add_argument("--name", metavar="NAME", help="of the kernelspec (default: kernel-exec-KIND)")
    command.add_argument("--display-name", metavar="TEXT", help="what front ends show")
    command.add_argument("--image", metavar="IMAGE", help="of the container")
    command.add_argument(
        *("-r", "--requirement"),
        metavar="REQUIREMENT",
        action="append",
        default=[],
        help="a package that the image is to have; can be given more than once",
    )
    command.add_argument("--memory", metavar="SIZE", help="how much everything in the container may hold, such as 1g")
    command.add_argument("--cpus", metavar="N", help="how many processors it may use, such as 1.5")
    command.add_argument("--network", metavar="NAME", help="its network (default: none)")
    place = command.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="install it for this user only")
    place.add_argument("--prefix", metavar="DIR", help="install it below DIR")
    command.set_defaults(
        make=lambda options: InstallArguments(
            options.kind,
            options.name or f"kernel-exec-{options.kind}",
            options.display_name,
            options.image,
            tuple(options.requirement),
            options.memory,
            options.cpus,
            options.network,
            options.user,
            options.prefix,
        )
    )
