package plugintest

import (
	"slices"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/codes"
)

// trace is what the table has of a trace.
type trace struct {
	id                    [16]byte
	start, end            uint64
	spans, errors         uint32
	services              []string
	rootName, rootService string
	complete              bool
	endRow                uint32
	rows                  []Span
}

func (e *encoder) traceTable() {
	traces := e.gather()
	e.traces = len(traces)
	number := func(kind uint16, of func(*trace) uint32) {
		data := each(traces, func(t *trace) []byte { return u32s(of(t)) })
		e.section(kind, codes.LayoutU32, codes.DomainTraces, 0, data)
	}
	nanos := func(kind uint16, of func(*trace) uint64) {
		data := each(traces, func(t *trace) []byte { return u64s(of(t)) })
		e.section(kind, codes.LayoutU64, codes.DomainTraces, 0, data)
	}
	text := func(kind uint16, of func(*trace) string) {
		e.section(kind, codes.LayoutText, codes.DomainTraces, 0, eachText(traces, of))
	}
	number(codes.BatchTraceEndRow, func(t *trace) uint32 { return t.endRow })
	ids := each(traces, func(t *trace) []byte { return t.id[:] })
	e.section(codes.BatchTrace, codes.LayoutID16, codes.DomainTraces, 0, ids)
	nanos(codes.BatchTraceStart, func(t *trace) uint64 { return t.start })
	nanos(codes.BatchTraceDuration, func(t *trace) uint64 { return t.end - t.start })
	number(codes.BatchTraceSpans, func(t *trace) uint32 { return t.spans })
	number(codes.BatchTraceErrors, func(t *trace) uint32 { return t.errors })
	number(codes.BatchTraceServices, func(t *trace) uint32 { return uint32(len(t.services)) })
	text(codes.BatchTraceRootName, func(t *trace) string { return t.rootName })
	text(codes.BatchTraceRootService, func(t *trace) string { return t.rootService })
	states := each(traces, func(t *trace) []byte {
		bits := uint8(0)
		if t.complete {
			bits |= 1
		}
		if e.data.Late[t.id] {
			bits |= 2
		}
		return []byte{bits}
	})
	e.section(codes.BatchTraceStateBits, codes.LayoutU8, codes.DomainTraces, 0, states)
}

// gather has the traces of the spans, which stand trace after trace.
func (e *encoder) gather() (traces []*trace) {
	for row, span := range e.data.Spans {
		if row == 0 || e.data.Spans[row-1].TraceID != span.TraceID {
			traces = append(traces, &trace{id: span.TraceID, start: span.StartTime})
		}
		t := traces[len(traces)-1]
		t.add(span, e.service(span))
		if !e.data.Summary {
			t.endRow = uint32(row + 1)
		}
	}
	for _, t := range traces {
		t.complete = !slices.ContainsFunc(t.rows, func(span Span) bool {
			parent := func(other Span) bool { return other.SpanID == span.ParentSpanID }
			return span.ParentSpanID != [8]byte{} && !slices.ContainsFunc(t.rows, parent)
		})
	}
	return traces
}

func (t *trace) add(span Span, service string) {
	t.rows = append(t.rows, span)
	t.start = min(t.start, span.StartTime)
	t.end = max(t.end, span.StartTime+span.Duration)
	t.spans++
	if span.StatusCode == 2 {
		t.errors++
	}
	if !slices.Contains(t.services, service) {
		t.services = append(t.services, service)
	}
	if span.ParentSpanID == [8]byte{} {
		t.rootName, t.rootService = span.Name, service
	}
}

func (e *encoder) service(span Span) string {
	if span.Resource >= len(e.data.Resources) {
		return ""
	}
	service, _ := e.data.Resources[span.Resource].Attributes["service.name"].(string)
	return service
}

// budget writes the sections of a budget; for a batch of traces, each counts by its first span.
func (e *encoder) budget(place uint32, rule traceweir.BudgetRule) {
	domain, spans := uint8(codes.DomainSpans), e.data.Spans
	if e.data.Tail || e.data.Summary {
		domain, spans = codes.DomainTraces, nil
		for _, t := range e.gather() {
			spans = append(spans, t.rows[0])
		}
	}
	var keys []string
	var index, limits, used []byte
	for _, span := range spans {
		key, there := e.budgetKey(span, rule.Per)
		if !there {
			index = append(index, u32s(codes.None)...)
			continue
		}
		if !slices.Contains(keys, key) {
			keys = append(keys, key)
			limits = append(limits, u64s(rule.Limit)...)
			used = append(used, u64s(e.data.Used[rule.Name][key])...)
		}
		index = append(index, u32s(uint32(slices.Index(keys, key)))...)
	}
	e.section(codes.BatchBudgetKey, codes.LayoutText, codes.DomainBudgets, place, plainTexts(keys))
	e.section(codes.BatchBudgetLimit, codes.LayoutU64, codes.DomainBudgets, place, limits)
	e.section(codes.BatchBudgetUsed, codes.LayoutU64, codes.DomainBudgets, place, used)
	e.section(codes.BatchBudgetIndex, codes.LayoutU32, domain, place, index)
}

func (e *encoder) budgetKey(span Span, per *traceweir.Attribute) (key string, there bool) {
	if per == nil {
		return "", true
	}
	attributes := span.Attributes
	if per.Owner == traceweir.Resource {
		attributes = e.data.Resources[span.Resource].Attributes
	}
	key, there = attributes[per.Key].(string)
	return key, there
}
