"""The forms in which `resolve` writes its answers: for a person, as JSON, and as others read them."""

from __future__ import annotations

from abc import ABC, abstractmethod

import click

from locsvc import model
from locsvc.cli import output
from locsvc.errors import InvalidInput, LocsvcError
from locsvc.formats.answers import AnswerShape, address_of, shape_of

SHAPES = tuple(shape.value for shape in AnswerShape)


class Writer(ABC):
    """Writes answers to stdout: one alone, or many, each on a line."""

    @abstractmethod
    def one(self, estimate: model.LocationEstimate) -> None:
        """Write the only answer."""

    @abstractmethod
    def next(self, estimate: model.LocationEstimate, name: str) -> None:
        """Write one of many answers; `name` stands for a call without an id."""

    def wrong(self, call_id: str, place: str, error: LocsvcError) -> None:
        """Write what stands for an answer that there is not, where lines must be as many as calls."""
        del call_id, place, error


class _Tables(Writer):
    def __init__(self, *, verbose: bool) -> None:
        self._verbose = verbose

    def one(self, estimate: model.LocationEstimate) -> None:
        from locsvc.cli.answers import show_answer

        show_answer(estimate)

    def next(self, estimate: model.LocationEstimate, name: str) -> None:
        from locsvc.cli.answers import line_of

        if self._verbose:
            self.one(estimate)
            click.echo()
        else:
            click.echo(line_of(estimate, name))


class _Json(Writer):
    def one(self, estimate: model.LocationEstimate) -> None:
        output.write_json(self._json(estimate))

    def next(self, estimate: model.LocationEstimate, name: str) -> None:
        del name
        output.write_json(self._json(estimate), lines=True)

    def wrong(self, call_id: str, place: str, error: LocsvcError) -> None:
        from locsvc.cli.answers import error_json

        output.write_json(error_json(call_id, place, error), lines=True)

    def _json(self, estimate: model.LocationEstimate) -> dict[str, object]:
        from locsvc.formats.call_json import estimate_to_json

        return estimate_to_json(estimate)


class _GeoJson(_Json):
    def wrong(self, call_id: str, place: str, error: LocsvcError) -> None:
        from locsvc.cli.answers import error_json

        told = {"kind": "error"} | error_json(call_id, place, error)
        feature = {"type": "Feature", "geometry": None, "properties": told}
        output.write_json({"type": "FeatureCollection", "features": [feature]}, lines=True)

    def _json(self, estimate: model.LocationEstimate) -> dict[str, object]:
        from locsvc.formats.geojson import estimate_to_geojson

        return estimate_to_geojson(estimate)


class _Documents(Writer):
    """A text for each answer; an answer without a place is an empty line among many, and nothing when alone."""

    def __init__(self, shape: AnswerShape) -> None:
        self._shape = shape

    def one(self, estimate: model.LocationEstimate) -> None:
        text = self._told(estimate)
        if text is not None:
            click.echo(text)

    def next(self, estimate: model.LocationEstimate, name: str) -> None:
        del name
        click.echo((self._told(estimate) or "").replace("\n", " "))

    def wrong(self, call_id: str, place: str, error: LocsvcError) -> None:
        del call_id, place, error
        click.echo()

    def _told(self, estimate: model.LocationEstimate) -> str | None:
        found = shape_of(estimate, self._shape)
        if found is None:
            output.talk(f"locsvc: {estimate.call_id or 'the call'} has no location: there is no shape to write")
            return None
        shape, confidence = found
        if type(shape) is not _CLASSES[self._shape]:
            output.talk(f"locsvc: {estimate.call_id or 'the answer'} cannot be a {self._shape.value}: it is a circle")
        try:
            return self._text(estimate, shape, confidence)
        except InvalidInput as error:
            # A shape that is wider than the coding can say costs no other answer.
            output.talk(f"locsvc: {estimate.call_id or 'the answer'} cannot be written: {error}")
            return None

    def _text(self, estimate: model.LocationEstimate, shape: model.Shape, confidence: float) -> str:
        raise NotImplementedError


_CLASSES = {
    AnswerShape.CIRCLE: model.Circle,
    AnswerShape.ELLIPSE: model.Ellipse,
    AnswerShape.POLYGON: model.Polygon,
}


class _PidfLo(_Documents):
    def _text(self, estimate: model.LocationEstimate, shape: model.Shape, confidence: float) -> str:
        from locsvc.formats import pidf_lo

        document = pidf_lo.write(
            shape, confidence=confidence, timestamp=estimate.estimated_at, civic=address_of(estimate)
        )
        return document.decode("utf-8").rstrip("\n")


class _Gad(_Documents):
    def _text(self, estimate: model.LocationEstimate, shape: model.Shape, confidence: float) -> str:
        from locsvc.formats import gad

        del estimate
        return gad.write(shape, confidence=confidence).hex()


def writer_of(form: str, shape: str | None, *, verbose: bool) -> Writer:
    """The writer of a form.

    Parameters
    ----------
    form
        table, json, geojson, pidf-lo or gad.
    shape
        One of SHAPES, for the last two; None: a circle.
    verbose
        Whether tables of many answers are whole.

    Raises
    ------
    click.UsageError
        The form has no shape to choose.
    """
    if form in {"pidf-lo", "gad"}:
        chosen = AnswerShape(shape or "circle")
        return _PidfLo(chosen) if form == "pidf-lo" else _Gad(chosen)
    if shape is not None:
        raise click.UsageError(f"--shape is for --output pidf-lo and gad; {form} has all of the answer")
    return {"json": _Json, "geojson": _GeoJson}[form]() if form != "table" else _Tables(verbose=verbose)
