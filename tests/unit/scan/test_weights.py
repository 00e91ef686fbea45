"""Weights of volumes: a volume of weight 0 is not there, one of weight 2 is there twice."""

import dataclasses

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import AcquisitionWarning, OptionError, ShapeError
from ivimkit.scan.dwi import AVERAGES

pytestmark = pytest.mark.filterwarnings("ignore::ivimkit.errors.AcquisitionWarning")

B = np.repeat([0, 10, 20, 40, 80, 200, 400, 800.0], 3)
SPOILED = [1, 4, 8, 19, 23]
METHODS = {
    "varpro": ("biexp", ("curvature", "profile", "bootstrap")),
    "segmented": ("biexp", ("bootstrap",)),
    "trr": ("biexp", ("curvature",)),
    "loglinear": ("sivim", ("bootstrap",)),
    ik.methods.Bayes(prior="flat"): ("biexp", (None,)),
}


def _scan(average, n=3, b=None):
    """Return noisy signals with directions, of which two are the same in each shell."""
    random = np.random.default_rng(1)
    b = B + np.where(B > 300, random.uniform(-6, 6, B.size), 0) if b is None else b
    vectors = random.normal(size=(B.size, 3))
    vectors[1::3] = vectors[::3]
    vectors /= np.linalg.norm(vectors, axis=1)[:, np.newaxis]
    vectors[B == 0] = 0
    clean = ik.simulate.signals("biexp", [1000, 0.25, 0.05, 1.1e-3], b)
    signal = clean + random.normal(0, 10, (n, B.size))
    signal[0, SPOILED[3]] = np.nan
    signal[1:, SPOILED] *= 3
    return ik.DWI(signal, b, bvecs=vectors, average=average)


def _zero():
    weights = np.ones(B.size)
    weights[SPOILED] = 0
    return weights


def _equal(one, other):
    assert set(one.maps) == set(other.maps)
    np.testing.assert_array_equal(one.status, other.status)
    for name in one.maps:
        if name != "n_iter":
            np.testing.assert_allclose(one.maps[name], other.maps[name], rtol=1e-8, err_msg=name)


@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("method", METHODS, ids=str)
def test_weight_0_is_as_good_as_cut_out(average, method):
    scan, weights = _scan(average), _zero()
    cut = scan.select(volumes=np.flatnonzero(weights).tolist())
    model, estimators = METHODS[method]
    for uncertainty in estimators:
        given = {"model": model, "method": method, "uncertainty": uncertainty, "sigma": 10.0}
        one = ik.fit(scan, weights=weights, **given)
        _equal(one, ik.fit(cut, **given))
        assert (one.status & int(ik.status.FAILED) == 0).all()


@pytest.mark.parametrize("average", AVERAGES)
def test_everything_that_averages_leaves_them_out(average):
    scan, weights = _scan(average, n=400), _zero()
    cut = scan.select(volumes=np.flatnonzero(weights).tolist())
    weighted = scan.with_weights(weights)
    np.testing.assert_allclose(weighted.curve()[weighted.fit_counts > 0], cut.curve(), rtol=1e-12)
    np.testing.assert_array_equal(weighted.mean_image(400), cut.mean_image(400))
    one, other = ik.fit(scan, weights=weights), ik.fit(cut)
    for source in (ik.noise.from_residuals, lambda result: ik.noise.from_repeats(result.dwi)):
        np.testing.assert_allclose(source(one).sigma, source(other).sigma, rtol=1e-10)
    regions = np.ones(400, int)
    means = [ik.quality.roi_fit(result, regions).maps["D"] for result in (one, other)]
    np.testing.assert_allclose(*means, rtol=1e-8)
    if average != "none":
        left = [ik.quality.residuals(result).mean for result in (one, other)]
        np.testing.assert_allclose(*left, rtol=1e-8)
    chosen = [ik.compare(s, weights=w, sigma=10.0) for s, w in ((scan, weights), (cut, None))]
    np.testing.assert_array_equal(chosen[0].chosen, chosen[1].chosen)


@pytest.mark.parametrize("average", ["geometric", "arithmetic", "none"])
def test_double_weight_is_the_volume_twice(average):
    scan = _scan(average)
    signal = scan.signal.copy()
    signal[~np.isfinite(signal)] = 500.0
    scan = ik.DWI(signal, scan.acquisition, average=average)
    twice = [*range(B.size), 4, 11, 22]
    weights = np.ones(B.size)
    weights[[4, 11, 22]] = 2
    again = ik.DWI(signal[:, twice], scan.acquisition.take(twice), average=average)
    _equal(ik.fit(scan, weights=weights), ik.fit(again))


@pytest.mark.parametrize("average", AVERAGES)
def test_weights_of_1_change_no_bit(average):
    scan = _scan(average)
    one, other = ik.fit(scan, weights=np.ones(B.size)), ik.fit(scan)
    for name in one.maps:
        np.testing.assert_array_equal(one.maps[name], other.maps[name], err_msg=name)


def test_the_mean_across_directions_is_weighted():
    vectors = np.eye(3)[[0, 0, 1, 2]]
    vectors[0] = 0
    signal = np.array([[100.0, 40.0, 20.0, 10.0]])
    scan = ik.DWI(signal, [0, 800, 800, 800], bvecs=vectors).with_weights([1, 1, 2, 0.5])
    expected = np.exp(np.average(np.log(signal[0, 1:]), weights=[1, 2, 0.5]))
    np.testing.assert_allclose(scan.curve(), [100, expected], rtol=1e-14)
    assert scan.fit_counts.tolist() == [1, 3.5]


def test_the_b_value_of_a_shell_is_weighted():
    scan = ik.DWI([[100, 40, 40, 40]], [0, 985, 1000, 1015])
    assert scan.with_weights([1, 1, 0, 3]).fit_bvals.tolist() == [0, 1007.5]


def test_one_weight_per_b_value_is_that_of_its_volumes():
    scan = _scan("arithmetic")
    own = np.linspace(1, 2, 8)
    _equal(ik.fit(scan, weights=own), ik.fit(scan, weights=np.repeat(own, 3)))


def test_weights_go_with_selected_volumes_and_into_the_record(tmp_path):
    scan = _scan("auto").with_weights(_zero()).select(bmax=400)
    np.testing.assert_array_equal(scan.weights, _zero()[B <= 400])
    assert ik.fit(scan).settings.weights == tuple(_zero()[B <= 400].tolist())
    made = ik.simulate.phantom(shape=(12, 9, 1), bvals=B.tolist())
    ik.io.save_scan(made.dwi, tmp_path / "dwi.nii.gz")
    result = ik.fit(ik.load(tmp_path / "dwi.nii.gz"), weights=_zero())
    ik.save(result, tmp_path / "out")
    again = ik.load_result(tmp_path / "out", scan=True)
    np.testing.assert_array_equal(again.dwi.weights, _zero())


@pytest.mark.parametrize(
    ("weights", "error", "message"),
    [
        (np.ones(5), ShapeError, r"shape \(5,\); expected one per distinct b-value \(8\) or per"),
        (-np.ones(24), OptionError, "weights must be finite and >= 0"),
        (np.zeros(24), OptionError, "all weights are 0; expected volumes with a weight"),
    ],
)
def test_weights_that_cannot_be_used(weights, error, message):
    with pytest.raises(error, match=message):
        _scan("auto").with_weights(weights)
    with pytest.raises(ShapeError, match=r"weights have shape \(2,\); expected one per volume"):
        ik.DWI(np.ones((1, 3)), [0, 100, 800], weights=[1, 1])


def test_thresholds_take_a_shell_that_jitters_as_a_whole():
    b = np.r_[0, 10, 20, 40, 80, 100, 150, 196, 199, 202, 398, 401, 790, 800, 805.0]
    signal = ik.simulate.signals("biexp", [1000, 0.2, 0.05, 1e-3], b)[np.newaxis]
    exact = ik.fit(signal, b, method=ik.methods.Segmented(b_split=190))
    meant = ik.fit(signal, b, method=ik.methods.Segmented(b_split=200))
    _equal(exact, meant)
    assert dataclasses.asdict(meant.method)["b_split"] == 196


def test_no_repeats_among_other_nominal_b_values():
    b = np.array([1.4, 5, 10, 20, 35, 50, 75, 100, 201, 401, 602, 802])
    with pytest.raises(ik.errors.NoiseError, match="no b-value and direction was measured twice"):
        ik.noise.from_repeats(ik.DWI(np.ones((4, 12)), b))
    scan = ik.DWI(np.random.default_rng(0).normal(100, 5, (500, 6)), [0, 0, 990, 1000, 1010, 1000])
    found = ik.noise.from_repeats(scan)
    assert found.degrees_map[0] == 2, "two at b = 0 and two at b = 1000"
    assert issubclass(AcquisitionWarning, UserWarning)


def test_signal_and_curve_follow_a_selection():
    stored = np.arange(24.0).reshape(2, 12)
    scan = ik.DWI(stored, np.arange(12) * 100.0)
    for volumes, shared in (([0, 1, 2], True), ([1, 4, 7], True), ([0, 1, 5], False)):
        part = scan.select(volumes=volumes)
        np.testing.assert_array_equal(part.signal, stored[:, volumes])
        assert np.shares_memory(part.signal, stored) == shared
        assert part.stored is stored
        np.testing.assert_array_equal(part.curve([0, 1]), stored[1, volumes])
    assert scan.signal is stored
    with pytest.raises(ShapeError, match="mask is empty"):
        scan.with_mask([1, 0]).curve([0, 1])
