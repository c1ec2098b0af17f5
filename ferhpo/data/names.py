"""Class names: labels are mapped by name, never by an index that a data set happens to use.

A set whose names are all expressions gets the canonical ones in FER-2013's order; any other set keeps its own, sorted.
"""

import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from ferhpo.data.raw import EXPRESSIONS, ROLES
from ferhpo.errors import DataError, did_you_mean

CANONICAL = (*EXPRESSIONS, "contempt")
ALIASES = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
    "natural": "neutral",
}


def canonical(name: str) -> str:
    """Return the canonical name of an expression, any other name as it is.

    >>> canonical("Happiness"), canonical("zebra")
    ('happy', 'zebra')
    """
    lower = name.strip().lower()
    known = ALIASES.get(lower, lower)
    return known if known in CANONICAL else name


def encode(names: Sequence[str]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the label (int64) of each name, and the classes that occur.

    One name that is no expression makes all of them plain names, so that ``anger`` and ``zebra`` stay what they are.
    """
    found, index = np.unique(np.array(names, dtype=str), return_inverse=True)
    own = [_composed(str(name)) for name in found]
    mapped = [canonical(name) for name in own]
    if not set(mapped) <= set(CANONICAL):
        mapped = own
    classes = ordered(mapped)
    code = np.array([classes.index(name) for name in mapped], np.int64)
    return code[index.reshape(-1)], classes


def ordered(names: Iterable[str]) -> tuple[str, ...]:
    """Return class names once each in canonical order: expressions in FER-2013's, others sorted."""
    wanted = set(names)
    if wanted <= set(CANONICAL):
        return tuple(name for name in CANONICAL if name in wanted)
    return tuple(sorted(wanted))


def common(*sets: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that all sets have, in canonical order.

    >>> common(("angry", "happy", "contempt"), ("happy", "angry", "sad"))
    ('angry', 'happy')
    """
    return ordered(set(sets[0]).intersection(*sets[1:]))


def called(classes: Sequence[str], others: Sequence[str]) -> tuple[str, ...]:
    """Return class names, those that mean one of ``others`` as they are called there, unless two would be called alike.

    >>> called(("sadness", "zebra"), ("sad", "horse"))
    ('sad', 'zebra')
    """
    there = {_meaning(name): name for name in others}
    found = tuple(name if name in others else there.get(_meaning(name), name) for name in classes)
    return found if len(set(found)) == len(found) else tuple(classes)


def _meaning(name: str) -> str:
    """Return one name for all aliases of an expression, and for all ways to write the same letters."""
    return canonical(_composed(name))


def _composed(name: str) -> str:
    """Return a name with its letters and accents in one piece: macOS takes them apart, and both look alike."""
    return unicodedata.normalize("NFC", name)


def known(wanted: Iterable[str], classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that ``wanted`` names (aliases count), in canonical order.

    Raises:
        DataError: one is not among ``classes``, with the nearest.
    """
    names = []
    for name in wanted:
        (hit,) = called((name,), classes)
        if hit not in classes:
            msg = f"a class that is asked for must be in the data, got '{name}'{did_you_mean(hit, classes)}"
            raise DataError(msg)
        names.append(hit)
    return ordered(names)


def split_name(name: str, where: str) -> str:
    """Return a split name of the data if it is a known one.

    Raises:
        DataError: it is not, with the nearest.
    """
    if name.lower() not in ROLES:
        msg = f"{where}: a split must have a known name, got '{name[:40]}'{did_you_mean(name, filter(None, ROLES))}"
        raise DataError(msg)
    return name
