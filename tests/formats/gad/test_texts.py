"""What stands for a shape in a text, and what stands beside one in JSON."""

from __future__ import annotations

import json

import pytest

from locsvc import model
from locsvc.formats import gad
from locsvc.formats.reading import Unreadable
from tests.formats.gad.test_reading import PLMN, report_of


@pytest.mark.parametrize(
    "text",
    [
        "to whom it may concern",
        "<!DOCTYPE a []><a/>",
        "12345678901",
        "01632960123",
        "0 High St 12",
        "Some nineteen chars",
        "Emergencies",
        "Ambulances",
        "no location",
        'A"ML=1;lt=+51.5',
        "EC DC 2 d b 3 d3 ig=",
        "-",
    ],
)
def test_words_are_no_shape(text: str) -> None:
    for message in (text, text.encode(), f"{text}\r\n".encode()):
        with pytest.raises(Unreadable, match="neither"):
            gad.read(message)


def test_an_ellipse_whose_octets_are_all_printable_is_an_ellipse() -> None:
    assert isinstance(report_of(gad.read(b"0I^*|2~<8#D")).shape, model.Ellipse)


@pytest.mark.parametrize("text", ["ECC2DB3d3ig=", "ECC2DB3d3ig", "ECC2\r\nDB3d3ig=\r\n", "\ufeff1020b60c1dddde28"])
def test_texts_of_octets_are_told_from_words(text: str) -> None:
    assert report_of(gad.read(text.encode())) == report_of(gad.read("1020b60c1dddde28"))


@pytest.mark.parametrize(
    "text", ['"1020b60c1dddde28"', "0000   10 20 b6 0c 1d dd de 28", "00000000: 10 20 b6 0c 1d dd de 28"]
)
def test_what_programs_put_round_the_digits_is_left_out(text: str) -> None:
    assert report_of(gad.read(text)) == report_of(gad.read("1020b60c1dddde28"))


@pytest.mark.parametrize(
    ("location", "radio", "area", "cell"),
    [
        (
            {"nrLocation": {"tai": {"tac": "00044d"}, "ncgi": {"plmnId": PLMN, "nrCellId": "000012345"}}},
            "NR",
            1101,
            74565,
        ),
        (
            {"eutraLocation": {"tai": {"tac": "044d"}, "ecgi": {"plmnId": PLMN, "eutraCellId": "0012345"}}},
            "LTE",
            1101,
            74565,
        ),
    ],
)
@pytest.mark.parametrize("shape", [{}, {"geographicalInformation": "1020b60c1dddde28"}])
def test_the_cell_beside_a_shape_is_evidence_too(
    location: dict[str, dict[str, object]], radio: str, area: int, cell: int, shape: dict[str, str]
) -> None:
    (inner,) = location.values()
    reading = gad.read(json.dumps(dict.fromkeys(location, inner | shape)))
    assert [piece.evidence_id for piece in reading.evidence] == (["fix", "cell"] if shape else [""])
    content = reading.evidence[-1].content
    assert isinstance(content, model.CellScan)
    assert content.serving == model.CellMeasurement(model.Radio[radio], "001", "01", area, cell)
    assert not reading.no_location


def test_a_cell_of_no_network_is_none() -> None:
    nowhere = {"ncgi": {"plmnId": {"mcc": "000", "mnc": "00"}, "nrCellId": "000000000"}}
    with pytest.raises(Unreadable):
        gad.read(json.dumps(nowhere))


@pytest.mark.parametrize(("stated", "confidence"), [(0.67, 0.67), (67, 0.67), (67.5, 0.675), (1, 0.01)])
def test_a_confidence_in_json_on_either_scale(stated: float, confidence: float) -> None:
    ellipse = {"semiMajor": 50, "semiMinor": 20, "orientationMajor": 45}
    shape = {"shape": "POINT_UNCERTAINTY_ELLIPSE", "point": {"latitude": 55.0, "longitude": 2.5}}
    reading = gad.read(json.dumps(shape | {"uncertaintyEllipse": ellipse, "confidence": stated}))
    assert report_of(reading).confidence == pytest.approx(confidence)
