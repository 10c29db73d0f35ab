"""F1 of segments and events, against sed_eval."""

import sys
import warnings
from types import ModuleType

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from audiotok.evaluation.detection import (
    COLLAR,
    SHARE,
    Counts,
    Event,
    activity,
    event_counts,
    segment_counts,
)
from audiotok.evaluation.events import joined

# dcase_util, which sed_eval needs, imports what setuptools no longer has, and uses none of it here.
with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
    patch.setitem(sys.modules, "pkg_resources", ModuleType("pkg_resources"))
    warnings.simplefilter("ignore")
    sed_eval = pytest.importorskip("sed_eval")
    dcase_util = pytest.importorskip("dcase_util")

N_CLASSES, SECONDS = 3, 8.0
TIMES = st.integers(0, 31).map(lambda n: n / 4)
EVENTS = st.lists(
    st.builds(
        lambda start, length, sound_class: Event(start, min(start + length, SECONDS), sound_class),
        TIMES, st.integers(1, 12).map(lambda n: n / 4), st.integers(0, N_CLASSES - 1),
    ),
    max_size=8,
)  # fmt: skip


def as_list(events):
    return dcase_util.containers.MetaDataContainer(
        [
            {"filename": "a", "onset": one.start, "offset": one.end, "event_label": str(one.sound_class)}
            for one in events
        ]
    )


@settings(max_examples=15)
@given(EVENTS, EVENTS)
@example([Event(0.0, 2.0, 0)], [])
@example([Event(0.0, 1.0, 0), Event(0.5, 1.5, 0)], [Event(0.25, 1.25, 0), Event(0.0, 1.0, 0)])
def test_counts_are_those_of_sed_eval(found, there):
    labels = [str(i) for i in range(N_CLASSES)]
    found = joined(found)
    segments = sed_eval.sound_event.SegmentBasedMetrics(labels, time_resolution=1.0)
    events = sed_eval.sound_event.EventBasedMetrics(
        labels, t_collar=COLLAR, percentage_of_length=SHARE, event_matching_type="optimal"
    )
    for metric in (segments, events):
        metric.evaluate(reference_event_list=as_list(there), estimated_event_list=as_list(found))
    ours = segment_counts(activity(found, SECONDS, N_CLASSES), activity(there, SECONDS, N_CLASSES))
    compare(ours, segments)
    compare(event_counts(found, there, N_CLASSES), events)


def compare(ours, theirs):
    totals = (ours.hits, ours.hits + ours.false_alarms, ours.hits + ours.misses)
    for name, counted in zip(("Ntp", "Nsys", "Nref"), totals, strict=True):
        assert theirs.overall[name] == counted.sum()
        assert [theirs.class_wise[str(i)][name] for i in range(N_CLASSES)] == counted.tolist()


def test_f1_of_classes_that_occur():
    counts = Counts(np.array([3, 0, 0]), np.array([1, 2, 1]), np.array([2, 1, 0]))
    assert counts.f1 == pytest.approx([2 / 3, 0.0, np.nan], nan_ok=True)
    assert counts.macro == pytest.approx(1 / 3)
    assert counts.micro == pytest.approx(6 / 13)
    assert Counts.total([counts, counts]).hits.tolist() == [6, 0, 0]
    nothing = Counts(*np.zeros((3, 2), int))
    assert (nothing.micro, nothing.macro) == (0.0, 0.0)
