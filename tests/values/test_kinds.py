"""Values in and out of a kernel: each comes back as it was, or is refused with a reason."""

from __future__ import annotations

import pytest

from kernel_exec import Executor, ValueRefused
from tests.values.kinds import KEPT, REFUSED, make, same

pytestmark = pytest.mark.everywhere


@pytest.mark.parametrize("kind", KEPT)
def test_out_as_it_is_there(ex: Executor, kind: str) -> None:
    ex.execute(f"value = {KEPT[kind]}").raise_for_error()
    assert same(ex.get("value"), make(KEPT[kind]))


@pytest.mark.parametrize("kind", KEPT)
def test_in_as_it_is_here_and_recorded_so(ex: Executor, kind: str) -> None:
    """The cell that is recorded is run as well: it makes the same value in the same kernel."""
    value = make(KEPT[kind])
    ex.put("given", value)
    assert same(ex.get("given"), value)
    cell = last_cell(ex)
    assert (cell.execution_count, cell.metadata.kernel_exec.event) == (None, "put")
    ex.execute("del given; before = {*dir(), 'before', 'given'}").raise_for_error()
    ex.execute(cell.source).raise_for_error()
    assert same(ex.get("given"), value)
    assert ex.execute("[name for name in set(dir()) - before if name[0] != '_']").text == "[]"


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_on_the_way_out(ex: Executor, kind: str) -> None:
    source, reason = REFUSED[kind]
    ex.execute(f"value = {source}").raise_for_error()
    with pytest.raises(ValueRefused, match=reason) as caught:
        ex.get("value")
    assert "'value'" in str(caught.value)


@pytest.mark.parametrize("kind", REFUSED)
def test_refused_on_the_way_in(ex: Executor, kind: str) -> None:
    source, reason = REFUSED[kind]
    assert ex.notebook_path is not None
    before = ex.notebook_path.read_bytes()
    with pytest.raises(ValueRefused, match=reason):
        ex.put("refused", make(source))
    assert ex.notebook_path.read_bytes() == before
    assert "refused" not in [variable.name for variable in ex.variables()]


def test_what_comes_out_can_be_changed(ex: Executor) -> None:
    ex.execute("value = np.zeros(3); frame = pd.DataFrame({'a': [1, 2]})").raise_for_error()
    array, frame = ex.get("value"), ex.get("frame")
    array[0] = 1
    frame.loc[0, "a"] = 7
    assert (array[0], frame.a[0]) == (1, 7)
    assert ex.execute("value[0] + frame.a[0]").text == "np.float64(1.0)"


def test_ten_million_rows(ex: Executor) -> None:
    ex.execute("rows = pd.DataFrame({'n': np.arange(10**7), 'x': np.arange(10**7) / 7})").raise_for_error()
    assert [variable.shape for variable in ex.variables() if variable.name == "rows"] == [(10**7, 2)]
    rows = ex.get("rows")
    assert len(rows) == 10**7
    assert rows.n.is_monotonic_increasing
    assert (rows.x == rows.n / 7).all()
    ex.put("again", rows)
    assert ex.execute("again.equals(rows)").text == "True"
    ex.execute("del again, rows")


def last_cell(ex: Executor) -> object:
    from tests.executor.looks import code_cells

    return code_cells(ex.notebook_path)[-1]
