"""Runs this Python's pip as if another one asked: `python foreign_pip.py ENVIRONMENT COMMAND...`.

`pip download` takes the other one's version and platform, but it still decides by its own which requirements apply:
`exceptiongroup; python_version < "3.11"` would be left out of the wheels for a Python 3.10. ENVIRONMENT is a JSON
object with the variables of such markers. https://packaging.python.org/en/latest/specifications/dependency-specifiers/
"""

from __future__ import annotations

import json
import sys


def main(environment: str, arguments: list[str]) -> int:
    """Run pip; return its exit status."""
    try:
        from pip._internal.cli.main import main as pip
        from pip._vendor.packaging import markers
    except ImportError as error:
        sys.exit(f"{sys.executable} has no pip that can be used ({error})")
    known = markers.default_environment
    markers.default_environment = lambda: {**known(), **json.loads(environment)}
    return int(pip(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
