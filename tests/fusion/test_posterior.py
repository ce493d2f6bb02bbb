"""The posterior on cells is the product of the densities: compared with importance sampling, which knows no cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import h3.api.numpy_int as h3
import numpy as np
import pytest

from locsvc.fusion.densities import Densities
from locsvc.fusion.evaluation import evaluate, pieces_of
from locsvc.fusion.grid import locate
from locsvc.fusion.region import answer, compact
from locsvc.geo import latitudes_longitudes, local_axes, unit_vectors
from tests.fusion.pieces import circles, discs, gathered, lines

if TYPE_CHECKING:
    import numpy.typing as npt

    from locsvc.fusion.claims import Made
    from locsvc.fusion.parameters import Parameters

    Floats = npt.NDArray[np.float64]

DRAWS = 20_000
HOME = (53.35, -6.26)


@dataclass
class Sampled:
    """Places (n,) drawn from the posterior with weights that sum to 1."""

    latitude_deg: Floats
    longitude_deg: Floats
    weight: Floats

    def effective(self) -> float:
        return float(1 / np.sum(self.weight**2))


def density(d: Densities, east: Floats, north: Floats) -> Floats:
    """Posterior (n,) up to a constant, at metres from the first piece's place."""
    lat, lng = d.latitude_deg[:1], d.longitude_deg[:1]
    axis_e, axis_n = local_axes(lat, lng)
    e, n = axis_e[0] / np.sum(axis_e**2), axis_n[0] / np.sum(axis_n**2)
    pieces = pieces_of(d, 1)
    vectors = east[:, None] * e + north[:, None] * n + unit_vectors(lat, lng) - pieces.anchor[0]
    log = evaluate(pieces, 0, vectors, 0.0).log_posterior.astype(float)
    result: Floats = np.exp(log - log.max())
    return result


def sampled(rng: np.random.Generator, d: Densities) -> Sampled:
    """A call's posterior, drawn by importance from Gaussians and wide densities around each piece."""
    lat, lng = float(d.latitude_deg[0]), float(d.longitude_deg[0])
    axis_e, axis_n = local_axes(lat, lng)
    off = unit_vectors(d.latitude_deg, d.longitude_deg) - unit_vectors(lat, lng)
    ce, cn = off @ axis_e, off @ axis_n
    support = d.support_m()
    parts = [(ce[p], cn[p], s / 3.7) for p, s in zip(d.piece.tolist(), support.tolist(), strict=True)]
    parts += [(ce[p], cn[p], s / 1.5) for p, s in zip(d.piece.tolist(), support.tolist(), strict=True)]
    wide = [(ce[p], cn[p], d.outlier_scale_m[p]) for p in range(len(d.call))]
    n = DRAWS // (len(parts) + len(wide))
    east, north = [], []
    for e, m, s in parts:
        east.append(rng.normal(e, s, n))
        north.append(rng.normal(m, s, n))
    for e, m, s in wide:
        r = s * np.sqrt(2 * (1 / (1 - rng.random(n)) - 1))
        angle = rng.uniform(0, 2 * np.pi, n)
        east.append(e + r * np.sin(angle))
        north.append(m + r * np.cos(angle))
    x, y = np.concatenate(east), np.concatenate(north)
    near = np.hypot(x, y) < 1e6
    x, y = x[near], y[near]
    q = np.zeros(len(x))
    for e, m, s in parts:
        q += np.exp(-((x - e) ** 2 + (y - m) ** 2) / (2 * s * s)) / (2 * np.pi * s * s)
    for e, m, s in wide:
        q += (1 + ((x - e) ** 2 + (y - m) ** 2) / (2 * s * s)) ** -2 / (2 * np.pi * s * s)
    weight = density(d, x, y) / q
    # From the tangent plane back to the globe, along the fall of the sphere below it.
    off2 = (x[:, None] * axis_e / np.sum(axis_e**2)) + (y[:, None] * axis_n / np.sum(axis_n**2))
    place = unit_vectors(lat, lng) * np.sqrt(np.maximum(1 - np.sum(off2**2, axis=1), 0))[:, None] + off2
    return Sampled(*latitudes_longitudes(place), weight / weight.sum())


def scattered(rng: np.random.Generator, p: Parameters, calls: int, spread_m: float) -> Densities:
    """Calls of two to six pieces, fixes of 2 to 200 m, lines and discs, so far from one another."""
    made: list[Made] = []
    for order in range(6):
        chosen = np.nonzero(rng.random(calls) < (1.0 if order < 2 else 0.5))[0]
        n = len(chosen)
        lat = HOME[0] + rng.normal(0, spread_m, n) / 111_300
        lng = HOME[1] + rng.normal(0, spread_m, n) / 66_600
        if order % 3 == 0:
            made.append(circles(p, chosen, order, lat, lng, np.exp(rng.uniform(np.log(2), np.log(200), n))))
        elif order % 3 == 1:
            made.append(lines(p, chosen, order, lat, lng, rng.integers(0, 5, n)))
        else:
            made.append(discs(p, chosen, order, lat, lng, np.exp(rng.uniform(np.log(200), np.log(20_000), n))))
    return gathered(made)


@pytest.mark.parametrize("spread_m", [15.0, 60.0, 250.0, 1_000.0, 6_000.0])
def test_region_holds_what_it_says(parameters: Parameters, rng: np.random.Generator, spread_m: float) -> None:
    calls = 18
    d = scattered(rng, parameters, calls, spread_m)
    wanted = np.where(np.arange(calls) % 2 == 0, 0.9, 0.5)
    posterior = locate(d, calls, wanted)
    answers = answer(posterior, wanted)
    cells = compact(posterior.leaves, answers.region_leaves)
    off, counted = [], 0
    for call in range(calls):
        alone = one_call(d, call)
        places = sampled(rng, alone)
        if places.effective() < 400:
            continue
        counted += 1
        finest = int(cells.finest[call])
        listed = set(cells.cell[cells.starts[call] : cells.starts[call + 1]].tolist())
        heavy = np.nonzero(places.weight > 1e-9)[0]
        within = [
            not listed.isdisjoint(h3.cell_to_parent(c, r) for r in range(finest + 1))
            for c in (
                h3.latlng_to_cell(places.latitude_deg[i], places.longitude_deg[i], finest) for i in heavy.tolist()
            )
        ]
        held = float(places.weight[heavy][within].sum())
        error = held - float(answers.region_mass[call])
        off.append((abs(error) - 4 * np.sqrt(0.25 / places.effective()), call, error))
    assert counted >= calls // 2
    # Half a cell of some forty, and what a cell that is larger than its evidence blurs.
    assert max(off)[0] < 0.06, sorted(off)[-5:]


def one_call(d: Densities, call: int) -> Densities:
    """The rows of one call by themselves."""
    pieces = np.nonzero(d.call == call)[0]
    rows = np.nonzero(np.isin(d.piece, pieces))[0]
    values = {}
    for name in Densities.__dataclass_fields__:
        column = getattr(d, name)
        if name in {"corner_m", "bin", "held"}:
            values[name] = column
        elif len(column) == len(d.call) and name in PIECE_COLUMNS:
            values[name] = column[pieces]
        else:
            values[name] = column[rows]
    values["call"] = np.zeros(len(pieces), np.int64)
    values["piece"] = np.searchsorted(pieces, values["piece"])
    return Densities(**values)


PIECE_COLUMNS = {"call", "latitude_deg", "longitude_deg", "outlier_share", "outlier_scale_m", "exponent"}
