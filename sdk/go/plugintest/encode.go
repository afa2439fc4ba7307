package plugintest

import (
	"encoding/binary"
	"math"
	"slices"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Encode is the buffer that the host would pass to a plugin with a projection.
func (d Data) Encode(projection *traceweir.Projection) []byte {
	if d.Tail || d.Summary {
		d.Spans = slices.Clone(d.Spans)
		order := map[[16]byte]int{}
		for _, span := range d.Spans {
			if _, there := order[span.TraceID]; !there {
				order[span.TraceID] = len(order)
			}
		}
		slices.SortStableFunc(d.Spans, func(a, b Span) int { return order[a.TraceID] - order[b.TraceID] })
	}
	e := &encoder{data: d}
	if !d.Summary {
		for place, field := range projection.Reads {
			e.field(uint32(place), field)
		}
	}
	for place, budget := range projection.Budgets {
		e.budget(uint32(place), budget)
	}
	if d.Tail || d.Summary {
		e.traceTable()
	}
	return e.finish()
}

// encoder puts a buffer together. It shares nothing with the writer of answers, which tests hold against it.
type encoder struct {
	data   Data
	table  []byte
	body   []byte
	traces int
}

func (e *encoder) section(kind uint16, layout, domain uint8, argument uint32, data []byte) {
	for len(e.body)%8 != 0 {
		e.body = append(e.body, 0)
	}
	e.table = binary.LittleEndian.AppendUint16(e.table, kind)
	e.table = append(e.table, layout, domain)
	e.table = binary.LittleEndian.AppendUint32(e.table, argument)
	e.table = binary.LittleEndian.AppendUint32(e.table, uint32(len(e.body)))
	e.table = binary.LittleEndian.AppendUint32(e.table, uint32(len(data)))
	e.body = append(e.body, data...)
}

func (e *encoder) finish() []byte {
	rows, events := len(e.data.Spans), len(e.events())
	if e.data.Summary {
		rows, events = 0, 0
	}
	start := codes.HeaderBytes + len(e.table)
	for at := 8; at < len(e.table); at += codes.EntryBytes {
		offset := binary.LittleEndian.Uint32(e.table[at:])
		binary.LittleEndian.PutUint32(e.table[at:], offset+uint32(start))
	}
	buffer := u32s(codes.BatchMagic, codes.Version, uint32(rows), uint32(len(e.data.Resources)),
		uint32(len(e.data.Scopes)), uint32(events), uint32(e.traces), uint32(len(e.table)/codes.EntryBytes))
	return slices.Concat(buffer, e.table, e.body)
}

func u32s(numbers ...uint32) (data []byte) {
	for _, number := range numbers {
		data = binary.LittleEndian.AppendUint32(data, number)
	}
	return data
}

func u64s(numbers ...uint64) (data []byte) {
	for _, number := range numbers {
		data = binary.LittleEndian.AppendUint64(data, number)
	}
	return data
}

// texts are a dictionary; nil is no text.
func texts(entries []*string) []byte {
	var values []string
	index := make([]uint32, len(entries))
	for i, entry := range entries {
		index[i] = codes.None
		if entry != nil {
			at := slices.Index(values, *entry)
			if at < 0 {
				at = len(values)
				values = append(values, *entry)
			}
			index[i] = uint32(at)
		}
	}
	return slices.Concat(u32s(uint32(len(values)), uint32(len(index))), u32s(index...), heap(values))
}

// plainTexts are a text for each entry.
func plainTexts(values []string) []byte {
	return slices.Concat(u32s(uint32(len(values)), 0), heap(values))
}

func heap(values []string) []byte {
	end, ends, bytes := uint32(0), u32s(0), []byte(nil)
	for _, value := range values {
		end += uint32(len(value))
		ends = append(ends, u32s(end)...)
		bytes = append(bytes, value...)
	}
	return append(ends, bytes...)
}

func each[T any](of []T, data func(T) []byte) (all []byte) {
	for _, one := range of {
		all = append(all, data(one)...)
	}
	return all
}

func eachText[T any](of []T, text func(T) string) []byte {
	list := make([]*string, len(of))
	for i, one := range of {
		text := text(one)
		list[i] = &text
	}
	return texts(list)
}

func (e *encoder) events() (events []Event) {
	for _, span := range e.data.Spans {
		events = append(events, span.Events...)
	}
	return events
}

func (e *encoder) field(place uint32, field traceweir.Field) {
	switch field := field.(type) {
	case traceweir.Intrinsic:
		layout, domain, data := e.intrinsic(field)
		e.section(uint16(field), layout, domain, 0, data)
	case traceweir.Attribute:
		domain, owners := e.owners(field.Owner)
		values := make([]traceweir.Value, len(owners))
		for i, attributes := range owners {
			if of, there := attributes[field.Key]; there {
				values[i] = value(of)
			}
		}
		e.column(codes.BatchAttribute, domain, place, values, field.Complex)
	case traceweir.Attributes:
		e.pairs(place, field)
	}
}

func (e *encoder) intrinsic(of traceweir.Intrinsic) (layout, domain uint8, data []byte) {
	spans, events := e.data.Spans, e.events()
	switch of {
	case traceweir.TraceID:
		return codes.LayoutID16, codes.DomainSpans, each(spans, func(s Span) []byte { return s.TraceID[:] })
	case traceweir.SpanID:
		return codes.LayoutID8, codes.DomainSpans, each(spans, func(s Span) []byte { return s.SpanID[:] })
	case traceweir.ParentSpanID:
		return codes.LayoutID8, codes.DomainSpans, each(spans, func(s Span) []byte { return s.ParentSpanID[:] })
	case traceweir.TraceState:
		return codes.LayoutText, codes.DomainSpans, eachText(spans, func(s Span) string { return s.TraceState })
	case traceweir.TraceFlags:
		return codes.LayoutU32, codes.DomainSpans, each(spans, func(s Span) []byte { return u32s(s.TraceFlags) })
	case traceweir.Name:
		return codes.LayoutText, codes.DomainSpans, eachText(spans, func(s Span) string { return s.Name })
	case traceweir.Kind:
		return codes.LayoutU8, codes.DomainSpans, each(spans, func(s Span) []byte { return []byte{s.Kind} })
	case traceweir.StartTime:
		return codes.LayoutU64, codes.DomainSpans, each(spans, func(s Span) []byte { return u64s(s.StartTime) })
	case traceweir.Duration:
		return codes.LayoutU64, codes.DomainSpans, each(spans, func(s Span) []byte { return u64s(s.Duration) })
	case traceweir.StatusCode:
		return codes.LayoutU8, codes.DomainSpans, each(spans, func(s Span) []byte { return []byte{s.StatusCode} })
	case traceweir.StatusMessage:
		return codes.LayoutText, codes.DomainSpans, eachText(spans, func(s Span) string { return s.StatusMessage })
	case traceweir.ScopeName:
		return codes.LayoutText, codes.DomainScopes, eachText(e.data.Scopes, func(s Scope) string { return s.Name })
	case traceweir.ScopeVersion:
		return codes.LayoutText, codes.DomainScopes, eachText(e.data.Scopes, func(s Scope) string { return s.Version })
	case traceweir.EventName:
		return codes.LayoutText, codes.DomainEvents, eachText(events, func(e Event) string { return e.Name })
	case traceweir.EventTime:
		return codes.LayoutU64, codes.DomainEvents, each(events, func(e Event) []byte { return u64s(e.Time) })
	case traceweir.EventCount:
		return codes.LayoutU32, codes.DomainSpans, each(spans, func(s Span) []byte { return u32s(uint32(len(s.Events))) })
	case traceweir.LinkCount:
		return codes.LayoutU32, codes.DomainSpans, each(spans, func(s Span) []byte { return u32s(uint32(len(s.Links))) })
	case traceweir.ResourceIndex:
		return codes.LayoutU32, codes.DomainSpans, each(spans, func(s Span) []byte { return u32s(uint32(s.Resource)) })
	case traceweir.ScopeIndex:
		return codes.LayoutU32, codes.DomainSpans, each(spans, func(s Span) []byte { return u32s(uint32(s.Scope)) })
	case traceweir.EventSpan:
		return codes.LayoutU32, codes.DomainEvents, e.eventSpans()
	case traceweir.SpanAttributeKeys:
		return codes.LayoutText, codes.DomainNone, plainTexts(e.spanKeys())
	case traceweir.PeerAddress:
		address := func(r Resource) string { return r.PeerAddress }
		return codes.LayoutText, codes.DomainResources, eachText(e.data.Resources, address)
	}
	panic("plugintest: there is no such intrinsic field")
}

func (e *encoder) eventSpans() (data []byte) {
	for row, span := range e.data.Spans {
		for range span.Events {
			data = append(data, u32s(uint32(row))...)
		}
	}
	return data
}

func (e *encoder) spanKeys() (keys []string) {
	for _, span := range e.data.Spans {
		for _, key := range sorted(span.Attributes, "") {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// sorted are the keys that begin with a prefix.
func sorted(attributes Attributes, prefix string) (keys []string) {
	for key := range attributes {
		if len(key) >= len(prefix) && key[:len(prefix)] == prefix {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func (e *encoder) owners(owner traceweir.Owner) (domain uint8, all []Attributes) {
	switch owner {
	case traceweir.Span:
		for _, span := range e.data.Spans {
			all = append(all, span.Attributes)
		}
		return codes.DomainSpans, all
	case traceweir.Resource:
		for _, resource := range e.data.Resources {
			all = append(all, resource.Attributes)
		}
		return codes.DomainResources, all
	case traceweir.Scope:
		for _, scope := range e.data.Scopes {
			all = append(all, scope.Attributes)
		}
		return codes.DomainScopes, all
	case traceweir.Event:
		for _, event := range e.events() {
			all = append(all, event.Attributes)
		}
		return codes.DomainEvents, all
	}
	for _, span := range e.data.Spans {
		for _, link := range span.Links {
			all = append(all, link.Attributes)
		}
	}
	return codes.DomainLinks, all
}

// column writes the up to four sections of a column.
func (e *encoder) column(kind uint16, domain uint8, place uint32, values []traceweir.Value, complex bool) {
	var tags, words []byte
	numeric, strings, blobs := false, make([]*string, len(values)), make([]*string, len(values))
	for i, value := range values {
		tags = append(tags, uint8(value.Type))
		word := uint64(0)
		switch value.Type {
		case traceweir.String:
			text := value.Text()
			strings[i] = &text
		case traceweir.Int:
			word, numeric = uint64(value.Int()), true
		case traceweir.Double:
			word, numeric = math.Float64bits(value.Double()), true
		case traceweir.Bool:
			numeric = true
			if value.Bool() {
				word = 1
			}
		case traceweir.Bytes, traceweir.Array, traceweir.Map:
			if complex {
				blob := value.Encoded()
				blobs[i] = &blob
			}
		}
		words = append(words, u64s(word)...)
	}
	there := func(entry *string) bool { return entry != nil }
	e.section(kind, codes.LayoutU8, domain, place, tags)
	if numeric {
		e.section(kind, codes.LayoutU64, domain, place, words)
	}
	if slices.ContainsFunc(strings, there) {
		e.section(kind, codes.LayoutText, domain, place, texts(strings))
	}
	if slices.ContainsFunc(blobs, there) {
		e.section(kind, codes.LayoutBlob, domain, place, texts(blobs))
	}
}

func (e *encoder) pairs(place uint32, field traceweir.Attributes) {
	domain, owners := e.owners(field.Owner)
	var ends []byte
	var keys []*string
	var values []traceweir.Value
	for _, attributes := range owners {
		for _, key := range sorted(attributes, field.Prefix) {
			keys = append(keys, &key)
			values = append(values, value(attributes[key]))
		}
		ends = append(ends, u32s(uint32(len(keys)))...)
	}
	e.section(codes.BatchPairsEnd, codes.LayoutU32, domain, place, ends)
	e.section(codes.BatchPairsKey, codes.LayoutText, codes.DomainPairs, place, texts(keys))
	e.column(codes.BatchPairs, codes.DomainPairs, place, values, field.Complex)
}
