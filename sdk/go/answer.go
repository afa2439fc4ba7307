package traceweir

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Verdict is what a sampler says of a row or a trace. The zero Verdict drops it.
type Verdict struct {
	code        uint8
	probability float64
}

var (
	// Drop: it goes.
	Drop = Verdict{code: codes.VerdictDrop}
	// Keep: it stays.
	Keep = Verdict{code: codes.VerdictKeep}
)

// KeepRatio keeps it with a probability from 0.0 to 1.0: the host draws, by the trace id.
func KeepRatio(probability float64) Verdict {
	return Verdict{codes.VerdictProbability, probability}
}

// Answer is what a plugin answers to a batch: edits, or decisions. It is written in the one way that
// docs/reference/plugin-buffer.md describes, so the same plugin gives the same bytes in every language.
//
// An entry that the batch does not have panics.
type Answer struct {
	counts Counts
	links  int
	// of is the domain of verdicts and reasons.
	of uint8
	// keep is empty until something is dropped.
	keep     []uint64
	reasons  entries
	verdicts []uint8
	// samples: verdicts are part of the answer, even for no rows.
	samples bool
	// probabilities are empty until something has one.
	probabilities []float64
	renames       []named[entries]
	deletes       []named[entries]
	starts        []named[entries]
	pairs         []named[Values]
	sets          []named[Values]
	adds          []named[adds]
	counters      []counted
}

// named is part of an answer by its argument, and for sets by its domain.
type named[T any] struct {
	argument uint32
	domain   uint8
	part     *T
}

// adds are attributes to add: owner, key and value of each.
type adds struct {
	owners []uint32
	keys   entries
	values Values
}

type counted struct {
	id uint32
	by uint64
}

// Edits is the answer of a processor: until something is said, everything stays as it is.
func (b *Batch) Edits() *Answer {
	return &Answer{counts: b.counts, links: b.links, of: codes.DomainSpans}
}

// Decisions is the answer of a sampler, for a head sampler of rows and for a tail sampler of traces: until
// something is said, they are kept.
func (b *Batch) Decisions() *Answer {
	answer := b.Edits()
	answer.samples = true
	answer.of = b.decided()
	entries, _ := b.counts.of(answer.of)
	answer.verdicts = make([]uint8, entries)
	for i := range answer.verdicts {
		answer.verdicts[i] = codes.VerdictKeep
	}
	return answer
}

// Drop drops a span, and says why, in one of 32 reasons at most; empty: no reason is counted.
func (a *Answer) Drop(row int, reason string) {
	if a.keep == nil {
		a.keep = make([]uint64, (a.counts.Rows+63)/64)
		for i := range a.keep {
			a.keep[i] = math.MaxUint64
		}
		if rest := a.counts.Rows % 64; rest > 0 {
			a.keep[len(a.keep)-1] = 1<<rest - 1
		}
	}
	a.keep[row/64] &^= 1 << (row % 64)
	a.reason(row, a.counts.Rows, reason)
}

// Decide decides on a row, or a trace, and says why, in one of 32 reasons at most; empty: no reason is counted.
func (a *Answer) Decide(i int, verdict Verdict, reason string) {
	a.verdicts[i] = verdict.code
	if a.probabilities == nil && verdict.code == codes.VerdictProbability {
		a.probabilities = make([]float64, len(a.verdicts))
	}
	if a.probabilities != nil {
		a.probabilities[i] = verdict.probability
	}
	// The same reason as before, as in most rows, costs no call.
	if e := &a.reasons; len(e.index) == len(a.verdicts) && e.values.isLast(reason) {
		e.index[i] = e.values.last
		return
	}
	a.reason(i, len(a.verdicts), reason)
}

func (a *Answer) reason(i, entries int, reason string) {
	if reason != "" {
		a.reasons.put(i, entries, a.reasons.values.of(reason))
	}
}

// Rename gives attributes of an owner another key, wherever they are. Where the new key is there already nothing is
// renamed.
func (a *Answer) Rename(owner Owner, from, to string) {
	a.rename(uint32(owner), from, to)
}

// RenameReplacing is [Answer.Rename] that replaces an attribute that has the new key.
func (a *Answer) RenameReplacing(owner Owner, from, to string) {
	a.rename(uint32(owner)|codes.Replace, from, to)
}

func (a *Answer) rename(argument uint32, from, to string) {
	list := part(&a.renames, argument, codes.DomainNone)
	list.push(from)
	list.push(to)
}

// DeleteKey removes the attributes of an owner that have a key, wherever they are.
func (a *Answer) DeleteKey(owner Owner, key string) {
	part(&a.deletes, uint32(owner), codes.DomainNone).push(key)
}

// DeleteStarting removes all attributes of an owner whose keys begin so, wherever they are: the writes of the
// projection must have them, and they need not be read.
func (a *Answer) DeleteStarting(owner Owner, start string) {
	part(&a.starts, uint32(owner), codes.DomainNone).push(start)
}

// SetPairs has the new values of pairs that were read: an entry for each pair.
func (a *Answer) SetPairs(pairs Pairs) *Values {
	return part(&a.pairs, pairs.place, codes.DomainPairs).sized(pairs.Len())
}

// Set has the new values of a field: an entry for each per. That is the owner of the field; or, for attributes of
// spans, [Resource].
func (a *Answer) Set(write Write, per Owner) *Values {
	domain := domainOf[per]
	count, counted := a.counts.of(domain)
	if !counted {
		count = a.links
	}
	return part(&a.sets, uint32(write), domain).sized(count)
}

// Add gives one span, resource, scope, event or link (whose, says the field) an attribute.
func (a *Answer) Add(write Write, owner int, key string, value Value) {
	adds := part(&a.adds, uint32(write), codes.DomainNone)
	adds.owners = append(adds.owners, uint32(owner))
	adds.keys.push(key)
	adds.values.grow(len(adds.owners))
	adds.values.Put(len(adds.owners)-1, value)
}

// Count raises a counter that was made in configure.
func (a *Answer) Count(counter Counter, by uint64) {
	for i := range a.counters {
		if there := &a.counters[i]; there.id == counter.id {
			there.by += min(by, math.MaxUint64-there.by)
			return
		}
	}
	a.counters = append(a.counters, counted{counter.id, by})
}

// Counter is a counter on the host's page; package metrics makes it.
type Counter struct{ id uint32 }

// CounterOf is for package metrics.
func CounterOf(id uint32) Counter { return Counter{id} }

// ID is for package metrics.
func (c Counter) ID() uint32 { return c.id }

// part is the one with this argument and domain, in a list that is kept in their order.
func part[T any](list *[]named[T], argument uint32, domain uint8) *T {
	at, there := slices.BinarySearchFunc(*list, named[T]{argument: argument, domain: domain}, func(a, b named[T]) int {
		if a.argument != b.argument {
			return int(int64(a.argument) - int64(b.argument))
		}
		return int(a.domain) - int(b.domain)
	})
	if !there {
		*list = slices.Insert(*list, at, named[T]{argument, domain, new(T)})
	}
	return (*list)[at].part
}

// Dropped says whether a span is dropped.
func (a *Answer) Dropped(row int) bool {
	return a.keep != nil && a.keep[row/64]>>(row%64)&1 == 0
}

// Verdict is what was decided on a row, or a trace.
func (a *Answer) Verdict(i int) Verdict {
	verdict := Verdict{code: a.verdicts[i]}
	if a.probabilities != nil {
		verdict.probability = a.probabilities[i]
	}
	return verdict
}

// Reason is why a row, or a trace, is dropped or kept.
func (a *Answer) Reason(i int) string { return a.reasons.at(i) }

// Encode is the buffer. The packages of the worlds call it; tests do.
func (a *Answer) Encode() []byte {
	w := &writer{table: make([]byte, 0, 8*codes.EntryBytes), body: make([]byte, 0, 256)}
	a.encodeDecisions(w)
	a.encodeEdits(w)
	a.encodeCounts(w)
	for _, list := range a.starts {
		w.section(codes.AnswerDeleteStarts, codes.LayoutText, codes.DomainNone, list.argument)
		list.part.encode(w)
	}
	return w.finish(codes.AnswerMagic, a.counts)
}

func (a *Answer) encodeDecisions(w *writer) {
	if a.keep != nil {
		w.section(codes.AnswerKeep, codes.LayoutBitmap, codes.DomainSpans, 0)
		w.body = appendNumbers(w.body, a.keep)
	}
	if !a.reasons.empty() {
		w.section(codes.AnswerReason, codes.LayoutText, a.of, 0)
		a.reasons.encode(w)
	}
	if !a.samples {
		return
	}
	w.section(codes.AnswerVerdict, codes.LayoutU8, a.of, 0)
	w.body = append(w.body, a.verdicts...)
	if slices.Contains(a.verdicts, codes.VerdictProbability) {
		w.section(codes.AnswerProbability, codes.LayoutF64, a.of, 0)
		w.body = appendNumbers(w.body, a.probabilities)
	}
}

func (a *Answer) encodeEdits(w *writer) {
	for _, list := range a.renames {
		w.section(codes.AnswerRename, codes.LayoutText, codes.DomainNone, list.argument)
		list.part.encode(w)
	}
	for _, list := range a.deletes {
		w.section(codes.AnswerDeleteKeys, codes.LayoutText, codes.DomainNone, list.argument)
		list.part.encode(w)
	}
	for _, pairs := range a.pairs {
		pairs.part.encode(w, codes.AnswerSetPairs, pairs.domain, pairs.argument)
	}
	for _, set := range a.sets {
		set.part.encode(w, codes.AnswerSet, set.domain, set.argument)
	}
	// All owners, then all keys, then all values: sections stand in the order of their kinds.
	for _, add := range a.adds {
		w.section(codes.AnswerAddOwner, codes.LayoutU32, codes.DomainNone, add.argument)
		w.body = appendNumbers(w.body, add.part.owners)
	}
	for _, add := range a.adds {
		w.section(codes.AnswerAddKey, codes.LayoutText, codes.DomainNone, add.argument)
		add.part.keys.encode(w)
	}
	for _, add := range a.adds {
		add.part.values.encode(w, codes.AnswerAdd, codes.DomainNone, add.argument)
	}
}

func (a *Answer) encodeCounts(w *writer) {
	begun := false
	for _, count := range a.counters {
		if count.by == 0 {
			continue
		}
		if !begun {
			w.section(codes.AnswerCount, codes.LayoutCounts, codes.DomainNone, 0)
			begun = true
		}
		w.body = binary.LittleEndian.AppendUint64(w.body, uint64(count.id))
		w.body = binary.LittleEndian.AppendUint64(w.body, count.by)
	}
}
