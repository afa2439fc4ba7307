// Package codes has the numbers of the buffers between host and plugin. docs/reference/plugin-buffer.md is their
// one table; a test of the repository holds these against it.
package codes

// Of both buffers.
const (
	// BatchMagic is the first four bytes of a batch: TWB1.
	BatchMagic = 0x31425754
	// AnswerMagic is the first four bytes of an answer: TWA1.
	AnswerMagic = 0x31415754
	// Version is that of both.
	Version = 1
	// HeaderBytes is the length of the header.
	HeaderBytes = 32
	// EntryBytes is the length of a row of the table of sections.
	EntryBytes = 16
	// None says that there is no value, in indices of texts and budgets.
	None = 0xffffffff
	// Replace says of a rename that an attribute that has the new key is replaced.
	Replace = 256
)

// How sections are laid out.
const (
	LayoutU8     = 1
	LayoutU32    = 2
	LayoutU64    = 3
	LayoutF64    = 4
	LayoutBitmap = 5
	LayoutText   = 6
	LayoutBlob   = 7
	LayoutID16   = 8
	LayoutID8    = 9
	LayoutCounts = 10
)

// What sections have an entry for.
const (
	DomainNone      = 0
	DomainSpans     = 1
	DomainResources = 2
	DomainScopes    = 3
	DomainEvents    = 4
	DomainTraces    = 5
	DomainPairs     = 6
	DomainBudgets   = 7
	DomainLinks     = 8
)

// Of which type the value of an attribute is.
const (
	TagAbsent = 0
	TagString = 1
	TagInt    = 2
	TagDouble = 3
	TagBool   = 4
	TagBytes  = 5
	TagArray  = 6
	TagMap    = 7
	TagEmpty  = 8
	TagRemove = 255
)

// Kinds of the sections of a batch.
const (
	BatchTraceID           = 1
	BatchSpanID            = 2
	BatchParentSpanID      = 3
	BatchTraceState        = 4
	BatchTraceFlags        = 5
	BatchName              = 6
	BatchKind              = 7
	BatchStartTime         = 8
	BatchDuration          = 9
	BatchStatusCode        = 10
	BatchStatusMessage     = 11
	BatchScopeName         = 12
	BatchScopeVersion      = 13
	BatchEventName         = 14
	BatchEventTime         = 15
	BatchEventCount        = 16
	BatchLinkCount         = 17
	BatchResourceIndex     = 18
	BatchScopeIndex        = 19
	BatchEventSpan         = 20
	BatchSpanAttributeKeys = 21
	BatchPeerAddress       = 22
	BatchAttribute         = 32
	BatchPairsEnd          = 33
	BatchPairsKey          = 34
	BatchPairs             = 35
	BatchBudgetKey         = 40
	BatchBudgetLimit       = 41
	BatchBudgetUsed        = 42
	BatchBudgetIndex       = 43
	BatchTraceEndRow       = 48
	BatchTrace             = 49
	BatchTraceStart        = 50
	BatchTraceDuration     = 51
	BatchTraceSpans        = 52
	BatchTraceErrors       = 53
	BatchTraceServices     = 54
	BatchTraceRootName     = 55
	BatchTraceRootService  = 56
	BatchTraceStateBits    = 57
)

// Kinds of the sections of an answer.
const (
	AnswerKeep         = 1
	AnswerReason       = 2
	AnswerVerdict      = 3
	AnswerProbability  = 4
	AnswerRename       = 5
	AnswerDeleteKeys   = 6
	AnswerSetPairs     = 7
	AnswerSet          = 8
	AnswerAddOwner     = 9
	AnswerAddKey       = 10
	AnswerAdd          = 11
	AnswerCount        = 12
	AnswerDeleteStarts = 13
)

// What a sampler says of a row.
const (
	VerdictDrop        = 0
	VerdictKeep        = 1
	VerdictProbability = 2
)

// Of which kind a span is, as OTLP numbers them.
const (
	KindUnspecified = 0
	KindInternal    = 1
	KindServer      = 2
	KindClient      = 3
	KindProducer    = 4
	KindConsumer    = 5
)

// How a span ended, as OTLP numbers them.
const (
	StatusUnset = 0
	StatusOK    = 1
	StatusError = 2
)

// Whose attribute it is, in arguments of renames and deletions.
const (
	OwnerSpan     = 0
	OwnerResource = 1
	OwnerScope    = 2
	OwnerEvent    = 3
	OwnerLink     = 4
)
