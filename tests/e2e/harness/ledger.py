"""What several have sent, what came of it, and whether what is answered is that."""

import collections
import threading
import zlib

from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from .known import SPANS_PER_TRACE
from .spans import assert_same, comparable


class Sent:
    """A request of whole traces, by the number of its sender and its own: attributes of all its spans."""

    def __init__(self, sender, number, request):
        self.sender, self.number, self.is_acked = sender, number, False
        # By trace: the name of its root, how many spans failed, and all of it.
        self.roots, self.failed, self._packed = {}, collections.Counter(), {}
        traces = collections.defaultdict(TracesData)
        for of in request.resource_spans:
            places = {}
            for span in of.scope_spans[0].spans:
                span.attributes.add(key="sender").value.int_value = sender
                span.attributes.add(key="request").value.int_value = number
                trace = span.trace_id.hex()
                if not span.parent_span_id:
                    self.roots[trace] = span.name
                self.failed[trace] += span.status.code == 2
                if trace not in places:
                    places[trace] = traces[trace].resource_spans.add(resource=of.resource).scope_spans.add().spans
                places[trace].append(span)
        for trace, data in traces.items():
            # Of long proofs there are many.
            self._packed[trace] = zlib.compress(data.SerializeToString(), 1)

    @property
    def traces(self):
        return sorted(self.roots)

    def is_whole(self, trace, data, what):
        """Whether all of a trace is there; insists that nothing else is, nothing twice, and nothing has changed."""
        sent = TracesData.FromString(zlib.decompress(self._packed[trace]))
        found = _plain(data, what)
        if not found.items() <= _plain(sent, what).items():
            # What differs, for people.
            found, wanted = comparable(data), comparable(sent)
            assert found.keys() <= wanted.keys(), f"other spans than were sent: {what}"
            assert_same(found, {key: wanted[key] for key in found}, what)
        return len(found) == SPANS_PER_TRACE


def _plain(data, what):
    """Spans by their ids, as they are on the wire: quickly compared."""
    spans = {}
    for of in data.resource_spans:
        resource = of.resource.SerializeToString(deterministic=True)
        for span in (span for scope in of.scope_spans for span in scope.spans):
            assert span.span_id not in spans, f"span {span.span_id.hex()} twice: {what}"
            spans[span.span_id] = (span.SerializeToString(deterministic=True), resource)
    return spans


class Ledger:
    """By sender what was sent, in its order; and how often something happened."""

    def __init__(self, senders):
        self.sent = [[] for _ in range(senders)]
        self.counts = collections.Counter()
        self._lock = threading.Lock()

    def begin(self, sender, request):
        """Notes a request that is sent next. Each sender has a thread of its own."""
        of = self.sent[sender]
        of.append(Sent(sender, len(of), request))
        return of[-1]

    def count(self, what):
        with self._lock:
            self.counts[what] += 1

    def acked(self):
        return [sent for of in self.sent for sent in list(of) if sent.is_acked]
