"""placeholder"""

from pathlib import Path
from typing import Any, Mapping

SPOOL = "spool.0"


class Spooled:
    def messages(self, connection: Mapping[str, Any], rest: tuple[str, str]) -> list[Any]:
        return []


def read_spool(directory: Path) -> Spooled:
    return Spooled()
