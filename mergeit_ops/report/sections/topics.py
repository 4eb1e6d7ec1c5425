"""The topics on a map of the embedding space and in a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.measures.projection import project_2d
from mergeit_ops.dataset.manifest import TOPIC_SIZES
from mergeit_ops.report.rendering import rounded
from mergeit_ops.report.section import Section
from mergeit_ops.report.survey import Point
from mergeit_ops.report.surveyed_run import SurveyedRun
from mergeit_ops.report.text import shown

__all__ = ["build", "map_colours", "topic_map"]

COLOURS = 8
"""Number of colours that most people can distinguish, including people who are colour-blind."""

MAP_POINTS = 2_000
_NEIGHBOURS = 6
_HOVER_CHARACTERS = 180


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if no row has a topic.

    :param run: the run.
    """
    if not run.survey.topics:
        return None
    points, places = _placed(run)
    lines = _lines(run, map_colours(places, [point.topic for point in points]))
    drawn = None if len(points) < 2 else _map(points, places, list(run.topic_labels))
    values = {"mapped": 0 if drawn is None else len(points), "rows": run.survey.rows, "sizes": lines[0]["size"]}
    return Section("Topics", "Topics", values, {"lines": lines, "map": drawn})


def _placed(run: SurveyedRun) -> tuple[list[Point], NDArray[np.float32]]:
    """Return the rows of the map, and their (n, 2) positions."""
    if run.space is None:
        return [], np.zeros((0, 2), dtype=np.float32)
    run.say("Drawing the map ...")
    rows, places = topic_map(run.space.vectors, run.seed)
    return [run.space.points[row] for row in rows], places


def _lines(run: SurveyedRun, colours: Mapping[int, int]) -> list[dict[str, Any]]:
    """Return the line of each topic in the table, ascending by topic."""
    sizes: list[int] = next(
        (record[TOPIC_SIZES] for record in run.records if isinstance(record.get(TOPIC_SIZES), list)), []
    )
    return [
        {
            "id": id,
            "label": label,
            "size": sizes[id] if 0 <= id < len(sizes) else None,
            "selected": topic.entered,
            "merged": topic.merged,
            "restored": topic.restored,
            "rows": topic.rows,
            "quality": rounded(topic.mean_quality, 3),
            "colour": colours.get(id, 0),
        }
        for id, label in run.topic_labels.items()
        for topic in [run.survey.topics[id]]
    ]


def topic_map(vectors: NDArray[np.float32], seed: int = 42) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Choose the rows of the map, and place them.

    :param vectors: (n, d) vectors with unit norm.
    :param seed: seed of the choice and of the map.
    :return: (m,) row indices, ascending, m at most 2,000; (m, 2) positions on the map.
    """
    rows = np.sort(np.random.default_rng(seed).permutation(len(vectors))[:MAP_POINTS])
    return rows, project_2d(vectors[rows], seed)


def map_colours(places: NDArray[np.float32], topics: Sequence[int | None]) -> dict[int, int]:
    """Return a colour index for each topic, from 0. Neighbouring topics rarely share a colour.

    :param places: (n, 2) positions of rows on the map.
    :param topics: n topics of the rows.
    """
    of_row = np.array([-1 if topic is None else topic for topic in topics], dtype=np.int64)
    ids, sizes = np.unique(of_row[of_row >= 0], return_counts=True)
    centres = {int(topic): np.median(places[of_row == topic], axis=0) for topic in ids}
    colours: dict[int, int] = {}
    # Largest first, because equal colours are most visible there.
    for topic in ids[np.argsort(-sizes, kind="stable")].tolist():
        near = sorted(colours, key=lambda other: float(np.linalg.norm(centres[other] - centres[topic])))[:_NEIGHBOURS]
        taken = [colours[other] for other in near]
        used = list(colours.values())
        colours[topic] = min(range(COLOURS), key=lambda colour: (colour in taken, used.count(colour), colour))
    return colours


def _map(points: Sequence[Point], places: NDArray[np.float32], topics: Sequence[int]) -> dict[str, Any]:
    """Return the map for the script. A topic is its position in the table."""
    position: dict[int | None, int] = {id: number for number, id in enumerate(topics)}
    of_row = np.array([position.get(point.topic, -1) for point in points])
    return {
        "x": [round(float(x), 3) for x, _ in places],
        "y": [round(float(y), 3) for _, y in places],
        "topic": of_row.tolist(),
        "status": [point.status or "" for point in points],
        "text": [_hover(point.query) for point in points],
        "centres": [_centre(places[of_row == number]) for number in range(len(topics))],
    }


def _centre(places: NDArray[np.float32]) -> list[float] | None:
    """Return the median of (n, 2) positions; None if there are none."""
    return [round(float(part), 3) for part in np.median(places, axis=0)] if len(places) else None


def _hover(text: str) -> str:
    start, cut = shown(" ".join(text[: 4 * _HOVER_CHARACTERS].split()), _HOVER_CHARACTERS)
    return start + ("…" if cut or len(text) > 4 * _HOVER_CHARACTERS else "")
