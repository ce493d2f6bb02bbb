"""The confidence that RFC 7459 figure 11 states."""

from __future__ import annotations

from pathlib import Path

import pytest

from locsvc import model
from locsvc.formats import pidf_lo


def test_figure_11(shared: Path) -> None:
    message = (shared / "standards" / "vectors" / "rfc-xml" / "rfc7459-03-pidf_presence.xml").read_bytes()
    report = pidf_lo.read(message).evidence[0].content
    assert isinstance(report, model.DeviceReport)
    assert isinstance(report.shape, model.Circle)
    assert report.shape.radius_m == pytest.approx(850.24)
    assert report.confidence == pytest.approx(0.67)
