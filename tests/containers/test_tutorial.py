"""A time series with Chinese labels, analysed in a container; its chart comes back whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat

from kernel_exec import DockerKernel, Executor, Limits

LABELS = "时间序列分析趋势图日期数值类别销售额价格한국어カタカナひらがな"
ANALYSIS = """
import numpy as np, pandas as pd, matplotlib.pyplot as plt
rng = np.random.default_rng(0)
frame = pd.DataFrame({
    "日期": pd.date_range("2024-01-01", periods=100),
    "数值": rng.normal(size=100).cumsum(),
    "类别": rng.choice(["甲", "乙", "丙"], 100),
})
print("前五行:"); print(frame.head()); print("行数:", len(frame)); print(frame["类别"].value_counts())
plt.figure(figsize=(8, 4))
plt.plot(frame["日期"], frame["数值"], label="数值")
plt.title("时间序列趋势图"); plt.xlabel("日期"); plt.ylabel("数值"); plt.legend()
plt.savefig("/workspace/trend_analysis.png")
plt.show()
"""
EACH = f"""
import hashlib
from matplotlib.figure import Figure
from matplotlib.backends.backend_agg import FigureCanvasAgg
def drawn(text):
    figure = Figure(figsize=(1, 1)); canvas = FigureCanvasAgg(figure)
    figure.text(0.2, 0.2, text, fontsize=40); canvas.draw()
    return hashlib.sha256(bytes(canvas.buffer_rgba())).hexdigest()
pictures = [drawn(character) for character in {LABELS!r}]
nobody = [drawn(chr(0x10FFFD)), drawn(" ")]
"""


def test_the_analysis(engine: Any, tmp_path: Path) -> None:
    kernel = DockerKernel(
        workdir="/workspace", name="autogen-executor-{uuid}", env={"PYTHONPATH": "/workspace"}, auto_remove=True
    )
    with Executor(kernel=kernel, workdir=tmp_path, limits=Limits(memory="2g", cpus="1.0", pids=100)) as executor:
        executor.execute("import matplotlib.pyplot")  # who looks at the fonts for more than 5 s says so
        result = executor.execute(ANALYSIS).raise_for_error()
        assert "行数: 100" in result.stdout
        assert not result.stderr
        assert not result.notes
        [chart] = [found for found in result.artifacts if found.path.name == "trend_analysis.png"]
        assert chart.mime == "image/png"
        assert (tmp_path / "trend_analysis.png").read_bytes().startswith(b"\x89PNG")
        assert result.images[0].data.startswith(b"\x89PNG")
        # A font that lacks a character draws the same box for each: these are all different, and none is that box.
        executor.execute(EACH).raise_for_error()
        pictures, nobody = executor.get("pictures"), executor.get("nobody")
        assert len(set(pictures)) == len(set(LABELS))
        assert not set(pictures) & set(nobody)
    notebook = nbformat.read(tmp_path / "session.ipynb", as_version=4)
    assert any("image/png" in output.get("data", {}) for output in notebook.cells[1].outputs)
