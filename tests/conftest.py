"""What all tests share: an environment that is the same on every machine."""

import os

import pytest
from hypothesis import settings

# How long an example takes says something of the machine.
settings.register_profile("tests", deadline=None)
settings.load_profile("tests")


@pytest.fixture(autouse=True, scope="session")
def _plain_environment(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep the tests from reading, and writing to, what the person who runs them has set up for Jupyter."""
    home = tmp_path_factory.mktemp("jupyter")
    for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR"):
        os.environ[name] = str(home / name.lower())
    for name in ("JUPYTER_PATH", "JUPYTER_DEFAULT_PROVISIONER_NAME", "MPLBACKEND", "PYTHONSTARTUP"):
        os.environ.pop(name, None)
