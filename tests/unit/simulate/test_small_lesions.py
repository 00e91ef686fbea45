import numpy as np
import pytest

from ivimkit import simulate
from ivimkit.errors import OptionError


@pytest.mark.parametrize("kind", simulate.PHANTOMS)
def test_lesions_are_discs_of_the_hosts_brightness_with_truth_and_labels(kind):
    options = {"shape": (96, 96, 2), "bvals": [0, 50, 400, 800], "snr": None, "seed": 1}
    plain = simulate.phantom(kind, **options)
    made = simulate.phantom(kind, lesions=[4.0, 6.0, 4.0], **options)
    host = made.tissues[0 if kind == "abdomen" else 1]
    edge = made.dwi.geometry.voxel_size[0]
    for radius, count in ((4.0, 2), (6.0, 1)):
        name = f"lesion of {radius:g} mm"
        tissue = next(one for one in made.tissues if one.name == name)
        where = made.region(name)
        assert tissue.value("S0") == host.value("S0")
        assert tissue.value("D") < host.value("D")
        assert (made.truth["D"][where] == np.float32(tissue.value("D"))).all()
        area = count * np.pi * (radius / edge) ** 2
        assert where.sum() == pytest.approx(area, rel=0.35)
    changed = made.labels != plain.labels
    assert changed.sum() == sum(made.region(f"lesion of {r:g} mm").sum() for r in (4, 6))
    # As bright at b = 0 as before, and not elsewhere.
    zero = made.dwi.signal[..., 0], plain.dwi.signal[..., 0]
    np.testing.assert_allclose(zero[0], zero[1], rtol=1e-6)
    assert (made.dwi.signal[..., 3][changed] != plain.dwi.signal[..., 3][changed]).all()
    np.testing.assert_array_equal(made.dwi.signal[~changed], plain.dwi.signal[~changed])


@pytest.mark.parametrize(
    ("radii", "message"),
    [
        ([80.0], "no room for a lesion of 80 mm in the liver: 0 of 1 have a place"),
        ([0.0], r"radius of a lesion is 0\.0; expected a number > 0"),
        ([float("inf")], "radius of a lesion is inf; expected a number > 0"),
    ],
)
def test_lesions_that_cannot_be(radii, message):
    with pytest.raises(OptionError, match=message):
        simulate.phantom(shape=(32, 24, 1), lesions=radii)
