"""Print what is installed beside pip, and what kernel-exec needs without extras, as JSON. Run in the environment."""

import json
from importlib.metadata import distributions, requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(name: str, extras: frozenset[str], found: set[tuple[str, frozenset[str]]]) -> None:
    """Add `name` and all that it requires to `found`."""
    if (name, extras) in found:
        return
    found.add((name, extras))
    for line in requires(name) or ():
        requirement = Requirement(line)
        if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in extras | {""}):
            needed(canonicalize_name(requirement.name), frozenset(requirement.extras), found)


found: set[tuple[str, frozenset[str]]] = set()
needed("kernel-exec", frozenset(), found)
installed = {canonicalize_name(distribution.metadata["Name"]) for distribution in distributions()}
print(json.dumps({"installed": sorted(installed - {"pip", "setuptools"}), "needed": sorted({n for n, _ in found})}))
