"""`kernel-exec kernelspec`: our kernels in the launchers of others."""

from __future__ import annotations

import json
import sys

from kernel_exec.cli.kernelspec_arguments import InstallArguments, KernelspecArguments, ListArguments, RemoveArguments
from kernel_exec.cli.streams import Out
from kernel_exec.cli.tame import tamed
from kernel_exec.cli.values import CANNOT, OK, USAGE
from kernel_exec.errors import InvalidArgument
from kernel_exec.kernels.install import config_of, install, installed, kernelspec, remove


def command(arguments: KernelspecArguments) -> int:
    """Do what is asked for; return the exit status."""
    out = Out(sys.stdout)
    try:
        _perform(arguments, out)
    except InvalidArgument as error:
        return _refuse(str(error), USAGE)
    except OSError as error:
        return _refuse(f"the kernelspec cannot be written: {error}; --user or --prefix name another place", CANNOT)
    return OK


def _perform(arguments: KernelspecArguments, out: Out) -> None:
    match arguments:
        case InstallArguments():
            config = config_of(
                image=arguments.image,
                requirements=list(arguments.requirements),
                memory=arguments.memory,
                cpus=arguments.cpus,
                network=arguments.network,
            )
            spec = kernelspec(arguments.kind, arguments.display_name or _title(arguments), config)
            place = install(arguments.name, spec, user=arguments.user, prefix=arguments.prefix)
            out.write(f"installed {place.name} in {place}\n")
        case ListArguments(json=as_document):
            found = installed()
            if as_document:
                out.write(json.dumps(found) + "\n")
            for name, spec in found.items() if not as_document else ():
                out.write(tamed(f"{name}: {spec.get('display_name', '')}\n"))
        case RemoveArguments(name=name):
            out.write(f"removed {remove(name)}\n")


def _title(arguments: InstallArguments) -> str:
    return "Python (boxed)" if arguments.kind == "docker" else "Python (kernel-exec)"


def _refuse(message: str, status: int) -> int:
    print(f"kernel-exec kernelspec: {tamed(message)}", file=sys.stderr)
    return status
