// Package traceweir is for plugins of Traceweir: what they say of themselves, the batches that they are given, the
// answers that they give.
//
// A plugin implements the interface of one of the packages processor, headsampler, tailsampler, router,
// authenticator and refresher, and registers itself there.
package traceweir

import (
	"strconv"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Batch is what a plugin is given: columns of spans, resources, scopes and events, of which it sees those that its
// [Projection] reads. They lie in the buffer that the host has passed; nothing is copied.
//
// A column that the projection does not read is not there, and asking for it panics: that is a mistake in the
// plugin, and no batch makes it good. So does an entry past the end.
type Batch struct {
	counts  Counts
	links   int
	fields  []field
	columns []namedColumn
	pairs   []Pairs
}

// field is a section that stands for itself.
type field struct {
	section
	texts Texts
}

// namedColumn is a column of attributes that is being put together, or is.
type namedColumn struct {
	section
	Column
}

// rule says of a kind which types its sections have and how many entries: those of a domain, those of the domain
// that the section names, or any.
type rule struct {
	kind    uint16
	layouts uint16 // a bit for each
	entries uint8
}

const (
	ofOwnDomain = 254
	ofAny       = 255
	numberText  = 1<<codes.LayoutU8 | 1<<codes.LayoutU64 | 1<<codes.LayoutText | 1<<codes.LayoutBlob
)

// rules has what is known of the sections of a batch; a kind that is not here is skipped.
var rules = [...]rule{
	{codes.BatchTraceID, 1 << codes.LayoutID16, codes.DomainSpans},
	{codes.BatchSpanID, 1 << codes.LayoutID8, codes.DomainSpans},
	{codes.BatchParentSpanID, 1 << codes.LayoutID8, codes.DomainSpans},
	{codes.BatchTraceState, 1 << codes.LayoutText, codes.DomainSpans},
	{codes.BatchTraceFlags, 1 << codes.LayoutU32, codes.DomainSpans},
	{codes.BatchName, 1 << codes.LayoutText, codes.DomainSpans},
	{codes.BatchKind, 1 << codes.LayoutU8, codes.DomainSpans},
	{codes.BatchStartTime, 1 << codes.LayoutU64, codes.DomainSpans},
	{codes.BatchDuration, 1 << codes.LayoutU64, codes.DomainSpans},
	{codes.BatchStatusCode, 1 << codes.LayoutU8, codes.DomainSpans},
	{codes.BatchStatusMessage, 1 << codes.LayoutText, codes.DomainSpans},
	{codes.BatchScopeName, 1 << codes.LayoutText, codes.DomainScopes},
	{codes.BatchScopeVersion, 1 << codes.LayoutText, codes.DomainScopes},
	{codes.BatchEventName, 1 << codes.LayoutText, codes.DomainEvents},
	{codes.BatchEventTime, 1 << codes.LayoutU64, codes.DomainEvents},
	{codes.BatchEventCount, 1 << codes.LayoutU32, codes.DomainSpans},
	{codes.BatchLinkCount, 1 << codes.LayoutU32, codes.DomainSpans},
	{codes.BatchResourceIndex, 1 << codes.LayoutU32, codes.DomainSpans},
	{codes.BatchScopeIndex, 1 << codes.LayoutU32, codes.DomainSpans},
	{codes.BatchEventSpan, 1 << codes.LayoutU32, codes.DomainEvents},
	{codes.BatchSpanAttributeKeys, 1 << codes.LayoutText, ofAny},
	{codes.BatchPeerAddress, 1 << codes.LayoutText, codes.DomainResources},
	{codes.BatchAttribute, numberText, ofAny},
	{codes.BatchPairsEnd, 1 << codes.LayoutU32, ofOwnDomain},
	{codes.BatchPairsKey, 1 << codes.LayoutText, ofAny},
	{codes.BatchPairs, numberText, ofAny},
	{codes.BatchBudgetKey, 1 << codes.LayoutText, ofAny},
	{codes.BatchBudgetLimit, 1 << codes.LayoutU64, ofAny},
	{codes.BatchBudgetUsed, 1 << codes.LayoutU64, ofAny},
	{codes.BatchBudgetIndex, 1 << codes.LayoutU32, ofOwnDomain},
	{codes.BatchTraceEndRow, 1 << codes.LayoutU32, codes.DomainTraces},
	{codes.BatchTrace, 1 << codes.LayoutID16, codes.DomainTraces},
	{codes.BatchTraceStart, 1 << codes.LayoutU64, codes.DomainTraces},
	{codes.BatchTraceDuration, 1 << codes.LayoutU64, codes.DomainTraces},
	{codes.BatchTraceSpans, 1 << codes.LayoutU32, codes.DomainTraces},
	{codes.BatchTraceErrors, 1 << codes.LayoutU32, codes.DomainTraces},
	{codes.BatchTraceServices, 1 << codes.LayoutU32, codes.DomainTraces},
	{codes.BatchTraceRootName, 1 << codes.LayoutText, codes.DomainTraces},
	{codes.BatchTraceRootService, 1 << codes.LayoutText, codes.DomainTraces},
	{codes.BatchTraceStateBits, 1 << codes.LayoutU8, codes.DomainTraces},
}

// width is the length of an entry of a section of numbers or ids.
func width(layout uint8) int {
	switch layout {
	case codes.LayoutU32:
		return 4
	case codes.LayoutU64, codes.LayoutID8:
		return 8
	case codes.LayoutID16:
		return 16
	}
	return 1
}

// ReadBatch reads a buffer and holds it against the rules of docs/reference/plugin-buffer.md, so that nothing
// after it can fail. The packages of the worlds call it; tests do.
func ReadBatch(data []byte) (*Batch, error) {
	counts, sections, err := readFrame(data, codes.BatchMagic)
	if err != nil {
		return nil, err
	}
	batch := &Batch{counts: counts, fields: make([]field, 0, len(sections))}
	for _, s := range sections {
		for i := range rules {
			if rules[i].kind != s.kind {
				continue
			}
			if err := batch.take(s, rules[i]); err != nil {
				return nil, err
			}
			break
		}
	}
	if err := batch.finish(); err != nil {
		return nil, err
	}
	return batch, nil
}

func (b *Batch) take(s section, r rule) error {
	if s.layout > 15 || r.layouts>>s.layout&1 == 0 {
		return s.bad("another type")
	}
	if s.data == nil {
		return s.bad("reaches out of the buffer")
	}
	if s.kind == codes.BatchAttribute || s.kind == codes.BatchPairs {
		column := b.column(s)
		if column.domain != s.domain {
			return s.bad("another domain than the column's")
		}
		return column.take(s)
	}
	f := field{section: s}
	entries, counted := b.counts.of(r.entries)
	if r.entries == ofOwnDomain {
		entries, counted = b.counts.of(s.domain)
	}
	if s.layout == codes.LayoutText {
		texts, err := readTexts(s)
		if err != nil {
			return err
		}
		if err := texts.check(s, entries); err != nil {
			return err
		}
		f.texts = texts
	} else if counted {
		length := uint64(entries) * uint64(width(s.layout))
		if uint64(len(s.data)) < length {
			return s.bad("too few entries")
		}
		f.data = s.data[:length]
	}
	b.fields = append(b.fields, f)
	return nil
}

// column is the one that a section is part of.
func (b *Batch) column(s section) *namedColumn {
	for i := range b.columns {
		if b.columns[i].kind == s.kind && b.columns[i].argument == s.argument {
			return &b.columns[i]
		}
	}
	b.columns = append(b.columns, namedColumn{section: s})
	return &b.columns[len(b.columns)-1]
}

// finish holds sections against each other.
func (b *Batch) finish() error {
	for i := range b.columns {
		column := &b.columns[i]
		if column.kind != codes.BatchAttribute {
			continue
		}
		entries, counted := b.counts.of(column.domain)
		if !counted {
			entries = -1
		}
		if err := column.finish(column.section, entries); err != nil {
			return err
		}
		b.tellLinks(column.domain, column.Len())
	}
	for _, f := range b.fields {
		var err error
		switch f.kind {
		case codes.BatchPairsEnd:
			err = b.addPairs(f)
		case codes.BatchResourceIndex:
			err = f.below(b.counts.Resources, false)
		case codes.BatchScopeIndex:
			err = f.below(b.counts.Scopes, false)
		case codes.BatchEventSpan:
			err = f.below(b.counts.Rows, false)
		case codes.BatchTraceEndRow:
			err = f.rising(b.counts.Rows)
		case codes.BatchBudgetIndex:
			err = b.checkBudget(f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// tellLinks learns from a section how many links there are, which the header does not say.
func (b *Batch) tellLinks(domain uint8, entries int) {
	if domain == codes.DomainLinks {
		b.links = max(b.links, entries)
	}
}

func (b *Batch) addPairs(ends field) error {
	pairs := Pairs{place: ends.argument, domain: ends.domain, ends: numbers[uint32](ends.data)}
	if keys := b.find(codes.BatchPairsKey, ends.argument); keys != nil {
		pairs.keys = keys.texts
	}
	for i := range b.columns {
		if b.columns[i].kind == codes.BatchPairs && b.columns[i].argument == ends.argument {
			pairs.values = b.columns[i].Column
		}
	}
	if err := pairs.finish(ends.section); err != nil {
		return err
	}
	b.tellLinks(ends.domain, pairs.Owners())
	b.pairs = append(b.pairs, pairs)
	return nil
}

func (b *Batch) checkBudget(index field) error {
	keys, limits, used := b.budgetFields(index.argument)
	if keys == nil || limits == nil || used == nil {
		return index.bad("a budget that is not whole")
	}
	count := keys.texts.Len()
	if len(limits.data)/8 < count || len(used.data)/8 < count {
		return index.bad("a budget with too few entries")
	}
	return index.below(count, true)
}

func (b *Batch) budgetFields(place uint32) (keys, limits, used *field) {
	return b.find(codes.BatchBudgetKey, place), b.find(codes.BatchBudgetLimit, place), b.find(codes.BatchBudgetUsed, place)
}

// below refuses an index of something that is not there.
func (f field) below(count int, orNone bool) error {
	for _, at := range numbers[uint32](f.data) {
		if uint64(at) >= uint64(count) && !(orNone && at == codes.None) {
			return f.bad("an index leads nowhere")
		}
	}
	return nil
}

// rising refuses ends that fall, or are past the last row.
func (f field) rising(rows int) error {
	last := uint32(0)
	for _, end := range numbers[uint32](f.data) {
		if end < last || uint64(end) > uint64(rows) {
			return f.bad("a trace ends before it begins, or past the last row")
		}
		last = end
	}
	return nil
}

func (b *Batch) find(kind uint16, argument uint32) *field {
	for i := range b.fields {
		if b.fields[i].kind == kind && b.fields[i].argument == argument {
			return &b.fields[i]
		}
	}
	return nil
}

// must is the section of a kind that has one at most, or the end of a plugin that does not read it.
func (b *Batch) must(kind uint16, argument uint32) *field {
	if f := b.find(kind, argument); f != nil {
		return f
	}
	panic("traceweir: the batch has no section " + strconv.Itoa(int(kind)) + " of " +
		strconv.FormatUint(uint64(argument), 10) + ": the projection must read it")
}

// Require refuses a batch that lacks what the projection reads. The packages of the worlds call it, and so nothing
// is missing that a plugin asks for as it has said.
func (b *Batch) Require(p *Projection) error {
	for place, f := range p.Reads {
		if !f.in(b, uint32(place)) {
			return BadInput("the batch lacks what is to be read at " + strconv.Itoa(place))
		}
	}
	for place := range p.Budgets {
		if index := b.find(codes.BatchBudgetIndex, uint32(place)); index == nil || index.domain != b.decided() {
			return BadInput("the batch lacks budget " + strconv.Itoa(place))
		}
	}
	return nil
}

// decided is the domain of what is decided on.
func (b *Batch) decided() uint8 {
	if b.find(codes.BatchTrace, 0) != nil {
		return codes.DomainTraces
	}
	return codes.DomainSpans
}

// RequireTraces refuses a batch without the table of traces.
func (b *Batch) RequireTraces() error {
	for kind := uint16(codes.BatchTraceEndRow); kind <= codes.BatchTraceStateBits; kind++ {
		if b.find(kind, 0) == nil {
			return BadInput("the batch lacks section " + strconv.Itoa(int(kind)) + " of traces")
		}
	}
	return nil
}

// Counts says how many there are of everything.
func (b *Batch) Counts() Counts { return b.counts }

// Rows is the number of spans.
func (b *Batch) Rows() int { return b.counts.Rows }

// Resources is the number of resources.
func (b *Batch) Resources() int { return b.counts.Resources }

// Links is the number of links of all spans, if something of links is read.
func (b *Batch) Links() int { return b.links }

// Column has the values of an [Attribute], with an entry per owner.
func (b *Batch) Column(read Read) Column {
	for i := range b.columns {
		if b.columns[i].kind == codes.BatchAttribute && b.columns[i].argument == uint32(read) {
			return b.columns[i].Column
		}
	}
	panic("traceweir: the projection reads no Attribute at " + strconv.Itoa(int(read)))
}

// Pairs has all [Attributes] whose key begins as asked for.
func (b *Batch) Pairs(read Read) Pairs {
	for i := range b.pairs {
		if b.pairs[i].place == uint32(read) {
			return b.pairs[i]
		}
	}
	panic("traceweir: the projection reads no Attributes at " + strconv.Itoa(int(read)))
}

// Budget has limits and use of a budget.
func (b *Batch) Budget(at BudgetAt) Budget {
	place := uint32(at)
	index := b.must(codes.BatchBudgetIndex, place)
	keys, limits, used := b.budgetFields(place)
	return Budget{
		Keys:   keys.texts,
		Limits: numbers[uint64](limits.data),
		Used:   numbers[uint64](used.data),
		index:  numbers[uint32](index.data),
	}
}

// Traces has the traces that a tail sampler decides on.
func (b *Batch) Traces() TraceTable {
	return TraceTable{
		IDs:          ids[[16]byte](b.must(codes.BatchTrace, 0).data),
		Starts:       numbers[uint64](b.must(codes.BatchTraceStart, 0).data),
		Durations:    numbers[uint64](b.must(codes.BatchTraceDuration, 0).data),
		Spans:        numbers[uint32](b.must(codes.BatchTraceSpans, 0).data),
		Errors:       numbers[uint32](b.must(codes.BatchTraceErrors, 0).data),
		Services:     numbers[uint32](b.must(codes.BatchTraceServices, 0).data),
		RootNames:    b.must(codes.BatchTraceRootName, 0).texts,
		RootServices: b.must(codes.BatchTraceRootService, 0).texts,
		ends:         numbers[uint32](b.must(codes.BatchTraceEndRow, 0).data),
		states:       b.must(codes.BatchTraceStateBits, 0).data,
	}
}
