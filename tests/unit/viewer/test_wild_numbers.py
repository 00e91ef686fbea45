"""Numbers that no computer holds are wrong input, wherever a request has them: never a fault."""

import json
from urllib.parse import quote

import nibabel as nib
import pytest

from ivimkit import methods
from ivimkit.viewer.method_options import describe_options

WILD = ("9" * 401, "-" + "9" * 401, "9" * 5000, "1e400", "-1e999", "9" * 30, "5e-324")
LARGE = ("999999999999999", "-999999999999999", "1e308", "-1e308", "1e-300", "0", "-1", "true")


def bodies():
    """Requests with a place for a number, marked by @."""
    places = [
        '"voxel": [@, 9, 1]',
        '"voxel": [8, 9, 1], "result": @',
        '"voxel": [8, 9, 1], "fixed": {"D": @}',
        '"voxel": [8, 9, 1], "bounds": {"D": [@, 0.003]}',
        '"voxel": [8, 9, 1], "bounds": {"D": [0, @]}',
        '"voxel": [8, 9, 1], "model": "monoexp", "fixed": {"S0": @}',
    ]
    for name in methods.names():
        places += [
            f'"voxel": [8, 9, 1], "method": "{name}", "options": {{"{option["name"]}": @}}'
            for option in describe_options(name)["options"]
        ]
    return places


@pytest.mark.parametrize("place", bodies())
def test_a_refit(client, place):
    for number in WILD:
        body = f"{{{place.replace('@', number)}}}".encode()
        answer = client.post("api/refit", body)
        assert answer.code == 400, (number[:10], answer.body)
        assert len(answer.json()["error"]) < 400
    for number in LARGE:
        answer = client.post("api/refit", f"{{{place.replace('@', number)}}}".encode())
        assert answer.code in (200, 400), (number, answer.body)
        json.loads(answer.body)


@pytest.mark.parametrize("digits", [4, 19, 401, 5000])
@pytest.mark.parametrize("kind", ["9", "٣", "²"])
def test_names_of_regions(client, result, drawing, digits, kind):
    image = nib.Nifti1Image(drawing, result.geometry.affine).to_bytes()
    for address in ("api/regions", "api/regions.csv"):
        answer = client.post(f"{address}?names={quote(kind * digits)}:liver", image)
        assert answer.code == 400
        assert "expected something like 1:lesion,2:liver" in answer.json()["error"]
        assert len(answer.json()["error"]) < 300


@pytest.mark.parametrize("number", ["9" * 401, "9" * 5000, "1e400", "-1", ""])
def test_addresses(client, number):
    word = quote(number)
    for address in (
        f"api/voxel?x={word}&y=1&z=1",
        f"volumes/{word}/D.nii",
        f"volumes/scan/{word}.nii",
        f"report/{word}",
    ):
        assert client.get(address).code in (400, 404), address
