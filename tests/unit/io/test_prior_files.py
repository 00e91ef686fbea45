"""save_prior and load_prior: the same prior back, and nothing else taken for one."""

import io as streams
import json
import tracemalloc
import zipfile
from dataclasses import replace

import numpy as np
import pytest

import ivimkit as ik
from ivimkit.errors import FileFormatError, InputError, OutputExistsError
from ivimkit.io import load_prior, save_prior
from ivimkit.io.prior_files import write_prior


def _every_fourth(table):
    """Return a table with fewer knots: packing and unpacking all of them takes a while."""
    knots = tuple(np.append(axis[:-1:4], axis[-1]) for axis in table.knots)
    kept = [np.isin(axis, few) for axis, few in zip(table.knots, knots, strict=True)]
    return replace(table, knots=knots, density=table.density[np.ix_(*kept)])


TABLE = _every_fourth(ik.priors.get("organ", organ="kidney").tabulate(ik.models.get("biexp")))


@pytest.mark.parametrize(
    "model", [name for name in ik.models.names() if ik.models.get(name).two_decays()]
)
@pytest.mark.parametrize("rule", ["flat", "organ"])
def test_the_same_prior_comes_back(tmp_path, rule, model):
    table = ik.priors.get(rule).tabulate(ik.models.get(model))
    save_prior(table, tmp_path / "new" / "prior.npz")
    back = load_prior(tmp_path / "new" / "prior.npz")
    assert back.same_as(table)
    assert back.about == table.about
    assert back.flat == table.flat
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["prior.npz"]


def test_numbers_of_numpy_in_the_story_of_a_prior(tmp_path):
    about = {"voxels": np.int64(7), "mean": np.array([1.0, np.inf]), "steps": (1, 2)}
    save_prior(replace(TABLE, about=about), tmp_path / "prior.npz")
    back = load_prior(tmp_path / "prior.npz").about
    assert back == {"voxels": 7, "mean": [1.0, np.inf], "steps": [1, 2]}


def test_the_same_prior_gives_the_same_bytes(tmp_path):
    save_prior(TABLE, tmp_path / "one.npz")
    save_prior(load_prior(tmp_path / "one.npz"), tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_the_file_says_what_it_is(tmp_path):
    save_prior(TABLE, tmp_path / "prior.npz")
    with np.load(tmp_path / "prior.npz", allow_pickle=False) as archive:
        about = json.loads(str(archive["about"]))
        assert set(archive.files) == {"about", "density", "slow", "fast", "fraction"}
    assert (about["format"], about["format_version"]) == ("ivimkit prior", 1)
    assert (about["model"], about["rule"]) == ("biexp", "organ")
    assert about["units"]["slow"] == "mm^2/s"


def test_a_saved_prior_gives_the_same_maps(tmp_path):
    dwi = ik.simulate.phantom(shape=(16, 12, 1)).dwi
    save_prior(TABLE, tmp_path / "prior.npz")
    maps = [
        ik.fit(dwi, method=ik.methods.Bayes(prior=prior), sigma=25.0).maps["D"]
        for prior in (TABLE, load_prior(tmp_path / "prior.npz"))
    ]
    np.testing.assert_array_equal(*maps)


def test_an_earlier_file_is_kept_until_asked(tmp_path):
    path = tmp_path / "prior.npz"
    save_prior(TABLE, path)
    other = ik.priors.get("flat").tabulate(ik.models.get("sivim"))
    with pytest.raises(OutputExistsError, match=r"prior.npz exists already.*--overwrite"):
        save_prior(other, path)
    assert load_prior(path).same_as(TABLE)
    save_prior(other, path, overwrite=True)
    assert load_prior(path).same_as(other)


def test_names_and_places_that_cannot_be(tmp_path):
    with pytest.raises(InputError, match=r"expected a name that ends in .npz"):
        save_prior(TABLE, tmp_path / "prior.nii.gz")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*: (Not a directory|File exists)"):
        save_prior(TABLE, tmp_path / "file" / "prior.npz")


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupted(path, table):
        write_prior(path, table)
        raise KeyboardInterrupt("stop")

    monkeypatch.setattr("ivimkit.io.prior_files.write_prior", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        save_prior(TABLE, tmp_path / "prior.npz")
    assert not list(tmp_path.iterdir())


def test_no_file(tmp_path):
    with pytest.raises(FileFormatError, match=r"there is no file .*none.npz; expected a prior"):
        load_prior(tmp_path / "none.npz")


def _with(change, **arrays):
    """Return the bytes of a prior's file whose header and arrays were changed."""

    def made(path):
        save_prior(TABLE, path)
        with np.load(path) as archive:
            there = {name: archive[name] for name in archive.files}
        about = json.loads(str(there["about"]))
        change(about)
        there |= {"about": json.dumps(about), **arrays}
        kept = {name: value for name, value in there.items() if value is not None}
        stream = streams.BytesIO()
        np.savez(stream, **kept)
        return stream.getvalue()

    return made


def _half(path):
    save_prior(TABLE, path)
    content = path.read_bytes()
    return content[: len(content) // 2]


def _flipped(path):
    save_prior(TABLE, path)
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("density.npy")
    middle = info.header_offset + info.compress_size // 2
    content[middle : middle + 8] = b"\x00" * 8
    return bytes(content)


def _array(path):
    stream = streams.BytesIO()
    np.save(stream, np.ones(3))
    return stream.getvalue()


def _nothing(about):
    pass


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: b"", "not a NumPy archive"),
        (lambda path: b'{"format": "ivimkit prior"}', "not a NumPy archive"),
        (_array, "not a NumPy archive"),
        (_half, "not a NumPy archive, or is damaged"),
        (_flipped, "cannot be read as a prior"),
        (_with(lambda about: about.update(format="mine")), "it holds 'mine'"),
        (_with(_nothing, about=None), "'about'"),
        (_with(_nothing, about="[1]"), "a list"),
        (_with(_nothing, about="{"), "cannot be read as a prior"),
        (_with(_nothing, about=np.array([{}], dtype=object)), "Object arrays cannot be loaded"),
        (_with(_nothing, density=None), "'density'"),
        (_with(_nothing, density=np.ones((2, 2, 2))), r"density has shape \(2, 2, 2\)"),
        (_with(_nothing, density=-TABLE.density), "must be finite and >= 0"),
        (_with(_nothing, slow=TABLE.knots[0][::-1]), "slow is not an ascending list"),
        (
            _with(_nothing, fraction=np.full(TABLE.knots[2].size, np.nan)),
            "fraction is not an ascending list",
        ),
        (_with(_nothing, fast=TABLE.knots[1] - 1.0), "fast has values that are not above 0"),
        (_with(lambda about: about.pop("names")), "'names'"),
        (_with(lambda about: about.update(names=["D"])), "cannot be read as a prior"),
    ],
)
def test_files_that_are_no_priors(tmp_path, content, message):
    path = tmp_path / "prior.npz"
    path.write_bytes(content(tmp_path / "made.npz"))
    with pytest.raises(FileFormatError, match=message) as caught:
        load_prior(path)
    assert "expected a file written by a fit with method bayes" in str(caught.value)
    assert str(path) in str(caught.value)


def test_a_file_of_a_newer_version(tmp_path):
    newer = _with(lambda about: about.update(format_version=2))(tmp_path / "made.npz")
    (tmp_path / "prior.npz").write_bytes(newer)
    with pytest.raises(FileFormatError, match=r"format version 2; expected at most 1"):
        load_prior(tmp_path / "prior.npz")


def test_a_folder_is_no_prior(tmp_path):
    with pytest.raises(FileFormatError, match="cannot be read as a prior"):
        load_prior(tmp_path)


# ------------------------------------------------------------------------- beside the maps


@pytest.fixture(scope="module")
def made():
    return ik.simulate.phantom(shape=(21, 16, 2))


@pytest.fixture(scope="module")
def learned(made):
    return ik.fit(made.dwi, method=ik.methods.Bayes(prior="learned"))


def _given(name):
    flat = ik.priors.get("flat").tabulate(ik.models.get("biexp"))
    return {
        "name": "flat",
        "object": ik.priors.Organ("kidney", width=2.0),
        "learning object": ik.priors.Learned(n_voxels=100, seed=3),
        "table": TABLE,
        "flat table": flat,
    }[name]


@pytest.mark.parametrize("given", ["name", "object", "learning object", "table", "flat table"])
def test_results_of_every_kind_of_prior_come_back(tmp_path, given):
    method = ik.methods.Bayes(prior=_given(given), variance=(20.0, 600.0), estimate="median")
    dwi = ik.simulate.phantom(shape=(14, 11, 1)).dwi
    result = ik.fit(dwi, method=method)
    ik.save(result, tmp_path / "out")
    back = ik.load_result(tmp_path / "out")
    # The noise of the floor is the one that was measured.
    method = replace(method, floor=result.method.floor)
    assert (tmp_path / "out" / "prior.npz").exists()
    assert list(back.maps) == list(result.maps)
    np.testing.assert_array_equal(np.float32(result.sd["D"]), np.float32(back.sd["D"]))
    for end, other in zip(result.interval["f"], back.interval["f"], strict=True):
        np.testing.assert_array_equal(np.float32(end), np.float32(other))
    assert list(back.priors) == ["all"]
    assert back.priors["all"].same_as(result.priors["all"])
    if "table" in given:
        assert back.method.prior.same_as(method.prior)
        back_method = replace(back.method, prior=method.prior)
        assert back_method == method
    else:
        assert back.method == method
    again = ik.fit(dwi, method=back.method)
    np.testing.assert_array_equal(again.maps["D"], result.maps["D"])


def test_regions_have_files_of_their_own(tmp_path, made):
    liver = made.region("liver").astype(int)
    learned = ik.priors.get("learned", max_steps=2)
    result = ik.fit(made.dwi, method=ik.methods.Bayes(prior=learned), labels=liver)
    ik.save(result, tmp_path)
    assert {path.name for path in tmp_path.glob("*.npz")} == {"prior_0.npz", "prior_1.npz"}
    back = ik.load_result(tmp_path)
    assert list(back.priors) == ["0", "1"]
    assert back.priors["1"].same_as(result.priors["1"])
    assert not back.priors["1"].same_as(back.priors["0"])
    assert back.settings.labels is True


def test_overwriting_removes_outdated_priors(tmp_path, made, learned):
    ik.save(learned, tmp_path)
    ik.save(ik.fit(made.dwi), tmp_path, overwrite=True)
    assert not list(tmp_path.glob("*.npz"))
    assert ik.load_result(tmp_path).priors == {}


def test_a_prior_of_others_is_kept(tmp_path):
    (tmp_path / "prior.npz").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"contains results \(prior.npz\)"):
        ik.io.check_output(tmp_path)


def test_a_prior_that_is_missing_or_damaged(tmp_path, learned):
    ik.save(learned, tmp_path)
    (tmp_path / "prior.npz").write_bytes(b"x")
    with pytest.raises(FileFormatError, match=r"prior.npz cannot be read as a prior"):
        ik.load_result(tmp_path)
    (tmp_path / "prior.npz").unlink()
    with pytest.raises(FileFormatError, match=r"there is no file .*prior.npz"):
        ik.load_result(tmp_path)


def test_the_record_tells_how_the_prior_came_about(tmp_path, made, learned):
    ik.save(learned, tmp_path)
    record = json.loads((tmp_path / "fit.json").read_text())
    region = record["learned"]["all"]
    assert record["settings"]["labels"] is False
    assert region["rule"] == "learned"
    assert region["options"] == ik.priors.get("learned").options()
    assert region["about"] == learned.priors["all"].about
    assert region["about"]["voxels"] == made.dwi.n_voxels
    degrees, scale = region["variance"]
    assert degrees > 0
    assert scale == pytest.approx(made.sigma**2, rel=0.1)


def test_sidecars_of_uncertainty(tmp_path, learned):
    ik.save(learned, tmp_path)
    one = json.loads((tmp_path / "D_bits.json").read_text())
    assert (one["Units"], one["Method"]) == ("bit", "bayes")
    assert one["Description"] == "Information that the data gave, beyond the prior, on D"
    assert one["Prior"]["all"]["Rule"] == "learned"
    assert any("Dempster" in reference for reference in one["References"])
    assert json.loads((tmp_path / "D_lo.json").read_text())["Units"] == "mm^2/s"
    assert "Prior" not in json.loads((tmp_path / "ADC.json").read_text())


# ------------------------------------------------------------ files that claim, or do harm


def _rewritten(path, **members):
    """Save a prior with members of its archive in place of its own; return the file."""
    save_prior(TABLE, path)
    with zipfile.ZipFile(path) as archive:
        there = {name: archive.read(name) for name in archive.namelist()}
    there |= {f"{name}.npy": content for name, content in members.items()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in there.items():
            archive.writestr(name, content)
    return path


def _claiming(shape, kind="<f8", data=bytes(80)):
    header = repr({"descr": kind, "fortran_order": False, "shape": shape}).encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (_claiming((2**40,)), r"density has 80 bytes, and its header says \(1099511627776,\)"),
        (_claiming((2**62, 2**62, 2**62)), "density has 80 bytes"),
        (_claiming((-1,)), "density has 80 bytes"),
        (_claiming((0, 2**60, 1)), "density has 80 bytes"),
        (_claiming((10,), "<c8"), "density contains complex64"),
        (_claiming((10,), "<M8[s]"), "density contains datetime64"),
        (_claiming((1,), "|V80"), "density contains"),
        (b"(" * 300, "cannot be read as a prior"),
        (b"\x93NUMPY\x09\x00" + bytes(99), "density is not a NumPy array"),
        (b"", "cannot be read as a prior"),
    ],
)
def test_nothing_is_made_of_what_an_array_claims(tmp_path, content, message):
    path = _rewritten(tmp_path / "prior.npz", density=content)
    with pytest.raises(FileFormatError, match=message) as caught:
        load_prior(path)
    assert "expected a file written by a fit with method bayes" in str(caught.value)


def test_a_kilobyte_does_not_become_a_gigabyte(tmp_path):
    path = _rewritten(tmp_path / "prior.npz", density=_claiming((5 << 20,), data=bytes(40 << 20)))
    assert path.stat().st_size < 1 << 17
    tracemalloc.start()
    try:
        with pytest.raises(FileFormatError, match="density is larger than a prior can be"):
            load_prior(path)
        # A quarter of a prior that is too large is never made twice.
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()


def test_an_encrypted_archive_is_no_prior(tmp_path):
    path = tmp_path / "prior.npz"
    save_prior(TABLE, path)
    content = bytearray(path.read_bytes())
    place = -1
    while (place := content.find(b"PK\x01\x02", place + 1)) >= 0:
        content[place + 8] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(FileFormatError, match="encrypted"):
        load_prior(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(format_version="inf"), "its version is not a whole number"),
        (lambda about: about.update(format_version=True), "its version is not a whole number"),
        (lambda about: about.update(about=[1]), "its model, rule or history has a wrong type"),
        (lambda about: about.update(rule=3), "its model, rule or history has a wrong type"),
        (lambda about: about.update(names=["f", "D", None]), "names other parameters than model"),
        (lambda about: about.update(about={"voxels": "many"}), "how many voxels"),
    ],
)
def test_a_prior_that_says_something_else(tmp_path, change, message):
    path = tmp_path / "prior.npz"
    path.write_bytes(_with(change)(tmp_path / "made.npz"))
    with pytest.raises(FileFormatError, match=message):
        load_prior(path)


def test_knots_outside_what_can_be(tmp_path):
    for arrays in ({"slow": TABLE.knots[0] - 1e-3}, {"fraction": TABLE.knots[2] * 3.0}):
        path = tmp_path / "prior.npz"
        path.write_bytes(_with(_nothing, **arrays)(tmp_path / "made.npz"))
        with pytest.raises(FileFormatError, match="slow has values below 0, or fraction some out"):
            load_prior(path)
        (tmp_path / "made.npz").unlink()
