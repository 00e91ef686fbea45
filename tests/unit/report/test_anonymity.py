"""Names of regions: words of anatomy stay, others might be a person's."""

import numpy as np
import pytest

from ivimkit.report.anonymity import without_names
from ivimkit.scan.labels import Labels


@pytest.mark.parametrize("name", ["lesion", "liver", "roi_tumor", "Liver-2", "kidney left", "7"])
def test_anatomy_stays(name):
    assert list(without_names(Labels([0, 7], {7: name}))) == [name]


@pytest.mark.parametrize(
    "name", ["Mustermann", "mustermann_lesion", "lesion_19610524", "Ödön_liver", "MM", "sub-01"]
)
def test_what_may_be_a_person_goes(name):
    labels = Labels([0, 7, 7], {7: name})
    found = without_names(labels)
    assert list(found) == ["region 7"]
    assert np.array_equal(found.array, labels.array)
