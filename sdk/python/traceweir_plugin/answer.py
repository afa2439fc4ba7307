"""What a plugin answers: edits, or decisions."""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from struct import pack

from .any_value import Write
from .batch import Batch
from .codes import (
    ANSWER_ADD,
    ANSWER_ADD_KEY,
    ANSWER_ADD_OWNER,
    ANSWER_COUNT,
    ANSWER_DELETE_KEYS,
    ANSWER_DELETE_STARTS,
    ANSWER_KEEP,
    ANSWER_PROBABILITY,
    ANSWER_REASON,
    ANSWER_RENAME,
    ANSWER_SET,
    ANSWER_SET_PAIRS,
    ANSWER_VERDICT,
    DOMAIN_NONE,
    DOMAIN_PAIRS,
    DOMAIN_SPANS,
    DOMAIN_TRACES,
    LAYOUT_BITMAP,
    LAYOUT_COUNTS,
    LAYOUT_F64,
    LAYOUT_TEXT,
    LAYOUT_U8,
    LAYOUT_U32,
    REPLACE,
    VERDICT_DROP,
    VERDICT_KEEP,
    VERDICT_PROBABILITY,
)
from .columns import Pairs
from .errors import Internal
from .projection import Owner
from .sections import Reasons, Sections, Values, texts
from .views import little_endian

COUNT_MAX = 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True)
class Verdict:
    """What a sampler says of a row or trace: `KEEP`, `DROP`, or `probability(…)`."""

    code: int
    probability: float = 0.0


KEEP = Verdict(VERDICT_KEEP)
DROP = Verdict(VERDICT_DROP)


def probability(share: float) -> Verdict:
    """It stays with this probability, from 0.0 to 1.0: the host draws, by the trace id."""
    return Verdict(VERDICT_PROBABILITY, share)


class Answer:
    """What edits and decisions have in common."""

    def __init__(self, batch: Batch, domain: int) -> None:
        self._batch = batch
        self._domain = domain
        # Rows or traces, as verdicts and reasons are of.
        self._entries = batch.counts.of(domain) or 0
        self._reasons: Reasons | None = None
        self._sets: dict[tuple[int, int], Values] = {}
        self._counters: dict[int, int] = {}

    def set(self, place: int, per: Owner) -> Values:
        """New values of a field, by its place in `writes`: an entry for each `per`. That is the
        owner of the field; or, for attributes of spans, the resource."""
        key = place, per.domain
        if key not in self._sets:
            entries = self._batch.counts.of(per.domain)
            self._sets[key] = Values(self._batch.links if entries is None else entries)
        return self._sets[key]

    def count(self, counter: int, by: int = 1) -> None:
        """Raises a counter."""
        self._counters[counter] = min(self._counters.get(counter, 0) + by, COUNT_MAX)

    def _check(self, i: int) -> None:
        if not 0 <= i < self._entries:
            raise Internal(f"the batch has no row {i}")

    def encode(self) -> bytes:
        """The buffer."""
        sections = Sections()
        self._write_decisions(sections)
        self._write_edits(sections)
        for (place, domain), values in sorted(self._sets.items(), key=lambda item: item[0]):
            values.write(sections, ANSWER_SET, domain, place)
        self._write_additions(sections)
        counts = [pack("<IIQ", counter, 0, by) for counter, by in self._counters.items() if by]
        if counts:
            sections.add(ANSWER_COUNT, LAYOUT_COUNTS, b"".join(counts))
        self._write_last(sections)
        return sections.finish(self._batch.counts)

    def _write_decisions(self, sections: Sections) -> None:
        reasons = self._reasons.section() if self._reasons else None
        if reasons:
            sections.add(ANSWER_REASON, LAYOUT_TEXT, reasons, self._domain)

    def _write_edits(self, sections: Sections) -> None:
        pass

    def _write_additions(self, sections: Sections) -> None:
        pass

    def _write_last(self, sections: Sections) -> None:
        pass


class Decisions(Answer):
    """Decisions of a sampler, one for each row; of a tail sampler, for each trace: `of_traces`.
    Until something is said, it is kept."""

    def __init__(self, batch: Batch, domain: int = DOMAIN_SPANS) -> None:
        super().__init__(batch, domain)
        self._verdicts = bytearray([VERDICT_KEEP]) * self._entries
        # Empty until one has a probability.
        self._probabilities = array("d")

    @classmethod
    def of_traces(cls, batch: Batch) -> "Decisions":
        """Decisions of a tail sampler."""
        return cls(batch, DOMAIN_TRACES)

    def decide(self, i: int, verdict: Verdict, reason: str = "") -> None:
        """Decides on a row or trace, and says why, in one of 32 reasons at most."""
        self.decide_rows((i,), verdict, reason)

    def decide_all(self, verdict: Verdict, reason: str = "") -> None:
        """Decides on all alike."""
        self._verdicts = bytearray([verdict.code]) * self._entries
        self._probabilities = array("d", [verdict.probability]) * self._entries
        self._reasons = Reasons(self._entries, reason)

    def decide_rows(self, rows: Sequence[int], verdict: Verdict, reason: str = "") -> None:
        """Decides on these alike."""
        if rows:
            self._check(min(rows))
            self._check(max(rows))
        for row in rows:
            self._verdicts[row] = verdict.code
        if verdict.code == VERDICT_PROBABILITY and not self._probabilities:
            self._probabilities = array("d", [0.0]) * self._entries
        if self._probabilities:
            for row in rows:
                self._probabilities[row] = verdict.probability
        if reason or self._reasons:
            self._reasons = self._reasons or Reasons(self._entries)
            self._reasons.put(rows, reason)

    def _write_decisions(self, sections: Sections) -> None:
        super()._write_decisions(sections)
        sections.add(ANSWER_VERDICT, LAYOUT_U8, self._verdicts, self._domain)
        if VERDICT_PROBABILITY in self._verdicts:
            sections.add(
                ANSWER_PROBABILITY, LAYOUT_F64, little_endian(self._probabilities), self._domain
            )


class Edits(Answer):
    """Edits of a processor: until something is said, everything stays as it is."""

    def __init__(self, batch: Batch) -> None:
        super().__init__(batch, DOMAIN_SPANS)
        # One byte a row; empty until something is dropped.
        self._keep = bytearray()
        self._renames: dict[int, list[str]] = {}
        self._deletes: dict[int, list[str]] = {}
        self._starts: dict[int, list[str]] = {}
        self._pairs: dict[int, Values] = {}
        self._adds: dict[int, tuple[list[int], list[str], Values]] = {}

    def drop(self, row: int, reason: str = "") -> None:
        """Drops a span, and says why, in one of 32 reasons at most."""
        self._check(row)
        self._keep = self._keep or bytearray(b"\1") * self._entries
        self._keep[row] = 0
        if reason:
            self._reasons = self._reasons or Reasons(self._entries)
            self._reasons.put((row,), reason)

    def drop_where(self, flags: Sequence[object], reason: str = "") -> None:
        """Drops the spans whose flag is true, of as many as there are rows: what `map` of a column
        of spans gives, or `Ids.below`."""
        if len(flags) != self._entries:
            raise Internal(f"{len(flags)} flags for {self._entries} rows")
        dropped = flags if isinstance(flags, bytes) else bytes(map(bool, flags))
        kept = dropped.translate(_IS_ZERO)
        if not self._keep:
            self._keep = bytearray(kept)
        else:
            # Each is a byte of a number: what both keep is one call into C.
            both = int.from_bytes(self._keep, "big") & int.from_bytes(kept, "big")
            self._keep = bytearray(both.to_bytes(len(kept), "big"))
        if reason:
            self._reasons = self._reasons or Reasons(self._entries)
            self._reasons.put(compress(range(self._entries), dropped), reason)

    def rename(self, owner: Owner, old: str, new: str, *, replace: bool = False) -> None:
        """Gives attributes of `owner` another key, wherever they are. Where there is one with that
        key already, it is replaced, or else nothing is renamed."""
        names = self._renames.setdefault(owner | REPLACE if replace else owner, [])
        names += (old, new)

    def delete_key(self, owner: Owner, key: str) -> None:
        """Removes attributes of `owner` by their key, wherever they are."""
        self._deletes.setdefault(owner, []).append(key)

    def delete_starting(self, owner: Owner, start: str) -> None:
        """Removes all attributes of `owner` whose keys begin so, wherever they are: `writes` must
        have them, and they need not be read."""
        self._starts.setdefault(owner, []).append(start)

    def set_pairs(self, pairs: Pairs) -> Values:
        """New values of pairs that were read: an entry for each pair."""
        return self._pairs.setdefault(pairs.place, Values(len(pairs)))

    def add(self, place: int, owner: int, key: str, value: Write) -> None:
        """Gives one span, resource, scope, event or link (whose the field at `place` in `writes`
        says) an attribute."""
        owners, keys, values = self._adds.setdefault(place, ([], [], Values(0)))
        owners.append(owner)
        keys.append(key)
        values.append(value)

    def _write_decisions(self, sections: Sections) -> None:
        if 0 in self._keep:
            sections.add(ANSWER_KEEP, LAYOUT_BITMAP, _bitmap(self._keep), DOMAIN_SPANS)
        super()._write_decisions(sections)

    def _write_edits(self, sections: Sections) -> None:
        for owner, names in sorted(self._renames.items()):
            sections.add(ANSWER_RENAME, LAYOUT_TEXT, texts(names), DOMAIN_NONE, owner)
        for owner, keys in sorted(self._deletes.items()):
            sections.add(ANSWER_DELETE_KEYS, LAYOUT_TEXT, texts(keys), DOMAIN_NONE, owner)
        for place in sorted(self._pairs):
            self._pairs[place].write(sections, ANSWER_SET_PAIRS, DOMAIN_PAIRS, place)

    def _write_last(self, sections: Sections) -> None:
        for owner, starts in sorted(self._starts.items()):
            sections.add(ANSWER_DELETE_STARTS, LAYOUT_TEXT, texts(starts), DOMAIN_NONE, owner)

    def _write_additions(self, sections: Sections) -> None:
        # All owners, then all keys, then all values: sections stand in the order of their kinds.
        for place, (owners, _, _) in sorted(self._adds.items()):
            data = little_endian(array("I", owners))
            sections.add(ANSWER_ADD_OWNER, LAYOUT_U32, data, DOMAIN_NONE, place)
        for place, (_, keys, _) in sorted(self._adds.items()):
            sections.add(ANSWER_ADD_KEY, LAYOUT_TEXT, texts(keys), DOMAIN_NONE, place)
        for place, (_, _, values) in sorted(self._adds.items()):
            values.write(sections, ANSWER_ADD, DOMAIN_NONE, place)


# For `bytes.translate`: 1 for 0.
_IS_ZERO = b"\1".ljust(256, b"\0")


def _bitmap(flags: bytes | bytearray) -> bytes:
    """One bit for each byte that is 0 or 1, in words of 64: read as a number in base 2, which is
    one call into C."""
    digits = bytes(flags[::-1]).translate(b"01".ljust(256))
    return int(digits, 2).to_bytes(-(-len(flags) // 64) * 8, "little")
