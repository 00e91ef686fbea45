import numpy as np
import pytest

from ivimkit.scan import blocks
from ivimkit.scan.blocks import boxes_of, positions


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(), (7,), (4, 5), (4, 5, 6), (1, 5, 1)])
def test_boxes_are_all_of_an_array_once_and_contiguous(order, shape, monkeypatch):
    monkeypatch.setattr(blocks, "MAX_BLOCK_VOXELS", 10)
    array = np.arange(np.prod(shape, dtype=int)).reshape(shape).copy(order)
    parts = [array[box] for box in boxes_of(array)]
    together = np.concatenate([part.ravel(order="K") for part in parts])
    assert together.tolist() == array.ravel(order="K").tolist()
    assert all(part.flags.f_contiguous or part.flags.c_contiguous for part in parts)
    found = [positions(array[box] % 2 == 0, box, shape) for box in boxes_of(array)]
    assert sorted(np.concatenate(found)) == np.flatnonzero(array % 2 == 0).tolist()
