"""Use the installed package from outside the tree, and print what came of it as JSON. Run in the environment."""

import json
import os
import sys
from importlib.resources import files
from pathlib import Path

import nbformat
from jupyter_client.manager import start_new_kernel

import kernel_exec
from kernel_exec import Executor

facts: dict[str, object] = {
    "inside": Path(kernel_exec.__file__).is_relative_to(sys.prefix),
    "typed": files("kernel_exec").joinpath("py.typed").is_file(),
}

with Executor(workdir="work") as executor:
    facts["text"] = executor.execute("x = 42; x").text
    facts["error"] = executor.execute("1 / 0").error.name  # type: ignore[union-attr]
    plot = executor.execute("import matplotlib.pyplot as plt; plt.plot([1, 3, 2]); plt.show()")
    facts["images"] = [image.mime for image in plot.images]
    stopped = executor.execute("while True: pass", timeout=1)
    facts["after_timeout"] = [stopped.status, stopped.state_preserved, executor.execute("x").text]
    facts["launcher"] = executor.execute("type(get_ipython().kernel).__module__").text
    notebook = executor.notebook_path

assert notebook is not None
nbformat.validate(record := nbformat.read(notebook, as_version=4))  # type: ignore[no-untyped-call]
facts["cells"] = len(record.cells)

# Any client of Jupyter's can have our kernels, by the name of the provisioner.
os.environ["JUPYTER_DEFAULT_PROVISIONER_NAME"] = "kernel-exec-host"
manager, client = start_new_kernel(kernel_name="python3")
facts["provisioner"] = type(manager.provisioner).__name__
seen: list[str] = []
client.execute_interactive("3 + 4", output_hook=lambda m: seen.append(m["content"].get("data", {}).get("text/plain")))
facts["stock_client"] = next(text for text in seen if text)
client.stop_channels()
manager.shutdown_kernel(now=True)

print(json.dumps(facts))
