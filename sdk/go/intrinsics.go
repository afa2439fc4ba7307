package traceweir

import "github.com/traceweir/traceweir/sdk/go/codes"

// Intrinsic is what every span has, and what the host knows of it. Each has a function of [Batch] that returns its
// column.
type Intrinsic uint8

const (
	TraceID           Intrinsic = codes.BatchTraceID
	SpanID            Intrinsic = codes.BatchSpanID
	ParentSpanID      Intrinsic = codes.BatchParentSpanID
	TraceState        Intrinsic = codes.BatchTraceState
	TraceFlags        Intrinsic = codes.BatchTraceFlags
	Name              Intrinsic = codes.BatchName
	Kind              Intrinsic = codes.BatchKind
	StartTime         Intrinsic = codes.BatchStartTime
	Duration          Intrinsic = codes.BatchDuration
	StatusCode        Intrinsic = codes.BatchStatusCode
	StatusMessage     Intrinsic = codes.BatchStatusMessage
	ScopeName         Intrinsic = codes.BatchScopeName
	ScopeVersion      Intrinsic = codes.BatchScopeVersion
	EventName         Intrinsic = codes.BatchEventName
	EventTime         Intrinsic = codes.BatchEventTime
	EventCount        Intrinsic = codes.BatchEventCount
	LinkCount         Intrinsic = codes.BatchLinkCount
	ResourceIndex     Intrinsic = codes.BatchResourceIndex
	ScopeIndex        Intrinsic = codes.BatchScopeIndex
	EventSpan         Intrinsic = codes.BatchEventSpan
	SpanAttributeKeys Intrinsic = codes.BatchSpanAttributeKeys
	PeerAddress       Intrinsic = codes.BatchPeerAddress
)

// TraceIDs has the ids of the traces.
func (b *Batch) TraceIDs() [][16]byte { return ids[[16]byte](b.must(codes.BatchTraceID, 0).data) }

// SpanIDs has the ids of the spans.
func (b *Batch) SpanIDs() [][8]byte { return ids[[8]byte](b.must(codes.BatchSpanID, 0).data) }

// ParentSpanIDs has the ids of the parents; zeros for roots.
func (b *Batch) ParentSpanIDs() [][8]byte {
	return ids[[8]byte](b.must(codes.BatchParentSpanID, 0).data)
}

// TraceStates has the W3C tracestates. May be written.
func (b *Batch) TraceStates() Texts { return b.must(codes.BatchTraceState, 0).texts }

// TraceFlags has the W3C flags.
func (b *Batch) TraceFlags() []uint32 { return numbers[uint32](b.must(codes.BatchTraceFlags, 0).data) }

// Names has the names of the spans. May be written.
func (b *Batch) Names() Texts { return b.must(codes.BatchName, 0).texts }

// Kinds has the kinds of the spans, as OTLP numbers them: 0 unspecified, 1 internal, 2 server, 3 client, 4
// producer, 5 consumer. May be written.
func (b *Batch) Kinds() []uint8 { return b.must(codes.BatchKind, 0).data }

// StartTimes say when the spans began, nanoseconds since 1970.
func (b *Batch) StartTimes() []uint64 { return numbers[uint64](b.must(codes.BatchStartTime, 0).data) }

// Durations say how long the spans took, nanoseconds; 0 where a span ends before it starts.
func (b *Batch) Durations() []uint64 { return numbers[uint64](b.must(codes.BatchDuration, 0).data) }

// StatusCodes has the codes of the statuses, as OTLP numbers them: 0 unset, 1 ok, 2 error. May be written.
func (b *Batch) StatusCodes() []uint8 { return b.must(codes.BatchStatusCode, 0).data }

// StatusMessages say what the statuses say. May be written.
func (b *Batch) StatusMessages() Texts { return b.must(codes.BatchStatusMessage, 0).texts }

// ScopeNames has the name of each scope.
func (b *Batch) ScopeNames() Texts { return b.must(codes.BatchScopeName, 0).texts }

// ScopeVersions has the version of each scope.
func (b *Batch) ScopeVersions() Texts { return b.must(codes.BatchScopeVersion, 0).texts }

// EventNames has the name of each event.
func (b *Batch) EventNames() Texts { return b.must(codes.BatchEventName, 0).texts }

// EventTimes say when each event was, nanoseconds since 1970.
func (b *Batch) EventTimes() []uint64 { return numbers[uint64](b.must(codes.BatchEventTime, 0).data) }

// EventCounts say how many events each span has.
func (b *Batch) EventCounts() []uint32 { return numbers[uint32](b.must(codes.BatchEventCount, 0).data) }

// LinkCounts say how many links each span has.
func (b *Batch) LinkCounts() []uint32 { return numbers[uint32](b.must(codes.BatchLinkCount, 0).data) }

// ResourceIndices say which resource each span is of.
func (b *Batch) ResourceIndices() []uint32 {
	return numbers[uint32](b.must(codes.BatchResourceIndex, 0).data)
}

// ScopeIndices say which scope each span is of.
func (b *Batch) ScopeIndices() []uint32 {
	return numbers[uint32](b.must(codes.BatchScopeIndex, 0).data)
}

// EventSpans say which span each event is of.
func (b *Batch) EventSpans() []uint32 { return numbers[uint32](b.must(codes.BatchEventSpan, 0).data) }

// SpanAttributeKeys has the keys of all span attributes of the batch, each once.
func (b *Batch) SpanAttributeKeys() Texts { return b.must(codes.BatchSpanAttributeKeys, 0).texts }

// PeerAddresses say who sent each resource: the address, without the port.
func (b *Batch) PeerAddresses() Texts { return b.must(codes.BatchPeerAddress, 0).texts }
