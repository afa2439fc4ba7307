package traceweir_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"reflect"
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

// everything reads all that there is to read, in the order of the intrinsic fields.
func everything() *traceweir.Projection {
	p := &traceweir.Projection{}
	for field := traceweir.TraceID; field <= traceweir.PeerAddress; field++ {
		p.Read(field)
	}
	for owner := traceweir.Span; owner <= traceweir.Link; owner++ {
		p.Read(traceweir.Attribute{Owner: owner, Key: "a", Complex: true})
		p.Read(traceweir.Attributes{Owner: owner, Prefix: "a", Complex: true})
	}
	p.Budget(traceweir.BudgetRule{Name: "all", Limit: 10, WindowMS: 1000})
	service := traceweir.Attribute{Owner: traceweir.Resource, Key: "service.name"}
	p.Budget(traceweir.BudgetRule{Name: "each", Per: &service, Limit: 5, WindowMS: 1000})
	return p
}

func sample() plugintest.Data {
	encoded := traceweir.EncodedValue(traceweir.Array, "\x2a\x00")
	return plugintest.Data{
		Resources: []plugintest.Resource{
			{Attributes: plugintest.Attributes{"service.name": "shop", "a": "x"}, PeerAddress: "10.0.0.1"},
			{Attributes: plugintest.Attributes{"a": 5, "ab": true}},
		},
		Scopes: []plugintest.Scope{{Name: "lib", Version: "1", Attributes: plugintest.Attributes{"a": 1.5}}},
		Spans: []plugintest.Span{
			{
				TraceID: [16]byte{1}, SpanID: [8]byte{1}, TraceState: "a=b", TraceFlags: 1, Name: "GET /", Kind: 2,
				StartTime: 1000, Duration: 50, StatusCode: 2, StatusMessage: "no",
				Attributes: plugintest.Attributes{"a": encoded, "abc": nil, "b": "B"},
				Events:     []plugintest.Event{{Name: "e0", Time: 1001, Attributes: plugintest.Attributes{"a": -1}}},
				Links:      []plugintest.Link{{}, {Attributes: plugintest.Attributes{"a": "linked"}}},
			},
			{
				TraceID: [16]byte{2}, SpanID: [8]byte{2}, ParentSpanID: [8]byte{9}, Name: "GET /", Kind: 3,
				StartTime: 900, Duration: 20, Resource: 1,
			},
			{
				TraceID: [16]byte{1}, SpanID: [8]byte{3}, ParentSpanID: [8]byte{1}, Name: "größe", Kind: 1,
				StartTime: 1010, Duration: 90, Attributes: plugintest.Attributes{"a": "x"},
				Events: []plugintest.Event{{Name: "e1"}, {Name: "e2", Time: 3}},
			},
		},
		Used: map[string]map[string]uint64{"all": {"": 4}, "each": {"shop": 7}},
	}
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: %v, and not %v", what, got, want)
	}
}

func list(texts traceweir.Texts) (all []string) {
	for i := range texts.Len() {
		all = append(all, texts.At(i))
	}
	return all
}

func TestIntrinsicFieldsAreColumns(t *testing.T) {
	batch := sample().Batch(everything())
	same(t, "counts", batch.Counts(), traceweir.Counts{Rows: 3, Resources: 2, Scopes: 1, Events: 3})
	same(t, "links", batch.Links(), 2)
	same(t, "trace ids", batch.TraceIDs(), [][16]byte{{1}, {2}, {1}})
	same(t, "span ids", batch.SpanIDs(), [][8]byte{{1}, {2}, {3}})
	same(t, "parents", batch.ParentSpanIDs(), [][8]byte{{}, {9}, {1}})
	same(t, "tracestates", list(batch.TraceStates()), []string{"a=b", "", ""})
	same(t, "flags", batch.TraceFlags(), []uint32{1, 0, 0})
	same(t, "names", list(batch.Names()), []string{"GET /", "GET /", "größe"})
	same(t, "distinct names", batch.Names().Values(), 2)
	same(t, "size", batch.Names().Size(), len(batch.Names().Value(0))+len(batch.Names().Value(1)))
	same(t, "kinds", batch.Kinds(), []uint8{2, 3, 1})
	same(t, "starts", batch.StartTimes(), []uint64{1000, 900, 1010})
	same(t, "durations", batch.Durations(), []uint64{50, 20, 90})
	same(t, "statuses", batch.StatusCodes(), []uint8{2, 0, 0})
	same(t, "messages", list(batch.StatusMessages()), []string{"no", "", ""})
	same(t, "scopes", list(batch.ScopeNames()), []string{"lib"})
	same(t, "versions", list(batch.ScopeVersions()), []string{"1"})
	same(t, "events", list(batch.EventNames()), []string{"e0", "e1", "e2"})
	same(t, "times", batch.EventTimes(), []uint64{1001, 0, 3})
	same(t, "event counts", batch.EventCounts(), []uint32{1, 0, 2})
	same(t, "link counts", batch.LinkCounts(), []uint32{2, 0, 0})
	same(t, "resources", batch.ResourceIndices(), []uint32{0, 1, 0})
	same(t, "scope indices", batch.ScopeIndices(), []uint32{0, 0, 0})
	same(t, "event spans", batch.EventSpans(), []uint32{0, 2, 2})
	same(t, "keys", list(batch.SpanAttributeKeys()), []string{"a", "abc", "b"})
	same(t, "peers", list(batch.PeerAddresses()), []string{"10.0.0.1", ""})
	of, traces := batch.TraceGroups()
	same(t, "groups", of, []int32{0, 1, 0})
	same(t, "traces", traces, 2)
}

func TestAttributesAreColumnsAndPairs(t *testing.T) {
	projection := everything()
	batch := sample().Batch(projection)
	place := func(field traceweir.Field) traceweir.Read { return projection.Read(field) }
	spans := batch.Column(place(traceweir.Attribute{Owner: traceweir.Span, Key: "a", Complex: true}))
	same(t, "array", spans.Value(0), traceweir.EncodedValue(traceweir.Array, "\x2a\x00"))
	same(t, "absent", spans.Type(1), traceweir.Absent)
	text, ok := spans.Text(2)
	same(t, "text", text, "x")
	same(t, "is text", ok, true)
	same(t, "index", []int{spans.Index(0), spans.Index(2)}, []int{-1, 0})
	resources := batch.Column(place(traceweir.Attribute{Owner: traceweir.Resource, Key: "a", Complex: true}))
	same(t, "int", resources.Value(1).Int(), int64(5))
	scopes := batch.Column(place(traceweir.Attribute{Owner: traceweir.Scope, Key: "a", Complex: true}))
	same(t, "double", scopes.Value(0).Double(), 1.5)
	links := batch.Column(place(traceweir.Attribute{Owner: traceweir.Link, Key: "a", Complex: true}))
	same(t, "of links", links.Value(1).Text(), "linked")

	pairs := batch.Pairs(place(traceweir.Attributes{Owner: traceweir.Span, Prefix: "a", Complex: true}))
	same(t, "keys", list(pairs.Keys()), []string{"a", "abc", "a"})
	start, end := pairs.Of(2)
	same(t, "of the third span", []int{start, end}, []int{2, 3})
	same(t, "empty", pairs.Values().Value(1), traceweir.EmptyValue())
	resourcePairs := batch.Pairs(place(traceweir.Attributes{Owner: traceweir.Resource, Prefix: "a", Complex: true}))
	same(t, "bool", resourcePairs.Values().Value(2).Bool(), true)
}

func TestBudgetsAndTraces(t *testing.T) {
	data, projection := sample(), everything()
	data.Tail, data.Late = true, map[[16]byte]bool{{2}: true}
	batch := data.Batch(projection)
	traces := batch.Traces()
	same(t, "ids", traces.IDs, [][16]byte{{1}, {2}})
	same(t, "starts", traces.Starts, []uint64{1000, 900})
	same(t, "durations", traces.Durations, []uint64{100, 20})
	same(t, "spans", traces.Spans, []uint32{2, 1})
	same(t, "errors", traces.Errors, []uint32{1, 0})
	same(t, "root names", list(traces.RootNames), []string{"GET /", ""})
	same(t, "root services", list(traces.RootServices), []string{"shop", ""})
	start, end := traces.Rows(0)
	same(t, "rows", []int{start, end}, []int{0, 2})
	same(t, "complete", []bool{traces.Complete(0), traces.Complete(1)}, []bool{true, false})
	same(t, "late", []bool{traces.Late(0), traces.Late(1)}, []bool{false, true})
	same(t, "one for all", batch.Budget(0).Left(batch.Budget(0).Of(1)), uint64(6))
	each := batch.Budget(1)
	same(t, "keys", list(each.Keys), []string{"shop"})
	same(t, "of", []int{each.Of(0), each.Of(1)}, []int{0, -1})
	same(t, "left", each.Left(0), uint64(0))

	data.Summary = true
	batch = data.Batch(&traceweir.Projection{})
	same(t, "summary", batch.Counts(), traceweir.Counts{Resources: 2, Scopes: 1, Traces: 2})
	same(t, "table", batch.RequireTraces(), error(nil))
	start, end = batch.Traces().Rows(1)
	same(t, "no rows", []int{start, end}, []int{0, 0})
}

func TestWhatIsNotReadIsNotThere(t *testing.T) {
	projection := &traceweir.Projection{}
	projection.Read(traceweir.Name)
	batch := sample().Batch(projection)
	defer func() {
		if recover() == nil {
			t.Error("durations of a batch that has none")
		}
	}()
	batch.Durations()
}

func TestBuffersMayBeginAnywhere(t *testing.T) {
	data := sample().Encode(everything())
	shifted := append([]byte{0}, data...)[1:]
	batch, err := traceweir.ReadBatch(shifted)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "durations", batch.Durations(), []uint64{50, 20, 90})
	same(t, "names", list(batch.Names()), []string{"GET /", "GET /", "größe"})
}

// TestBrokenRulesAreRefused breaks one rule at a time, by what is written over what.
func TestBrokenRulesAreRefused(t *testing.T) {
	projection := &traceweir.Projection{}
	projection.Read(traceweir.ResourceIndex) // row 0 of the table
	projection.Read(traceweir.Name)          // row 1
	good := sample().Encode(projection)
	section := func(row int) int { return int(binary.LittleEndian.Uint32(good[32+16*row+8:])) }
	for what, edit := range map[string]struct {
		at    int
		bytes []byte
	}{
		"magic":                 {0, []byte("TWA1")},
		"version":               {4, []byte{2}},
		"table out of buffer":   {28, []byte{255, 255, 255, 255}},
		"type":                  {32 + 2, []byte{3}},
		"offset":                {32 + 8, []byte{255, 255, 255, 255}},
		"length":                {32 + 12, []byte{255, 255, 255, 255}},
		"too few entries":       {8, []byte{4}},
		"no such resource":      {section(0), []byte{2}},
		"more values":           {section(1), []byte{255, 255, 255, 255}},
		"more indices":          {section(1) + 4, []byte{255, 255, 255, 255}},
		"index of no value":     {section(1) + 8, []byte{2}},
		"first end is not 0":    {section(1) + 20, []byte{1}},
		"ends fall":             {section(1) + 24, []byte{255}},
		"heap too short":        {section(1) + 28, []byte{255}},
		"text not UTF-8":        {section(1) + 32, []byte{0xff}},
		"text ends in a letter": {section(1) + 24, []byte{8}},
	} {
		data := bytes.Clone(good)
		copy(data[edit.at:], edit.bytes)
		var bad *traceweir.Error
		if _, err := traceweir.ReadBatch(data); !errors.As(err, &bad) || bad.Kind != traceweir.KindBadInput {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// read touches every entry of everything.
func read(batch *traceweir.Batch, projection *traceweir.Projection) {
	for place, field := range projection.Reads {
		switch field.(type) {
		case traceweir.Attribute:
			column := batch.Column(traceweir.Read(place))
			for i := range column.Len() {
				column.Value(i)
			}
		case traceweir.Attributes:
			pairs := batch.Pairs(traceweir.Read(place))
			for owner := range pairs.Owners() {
				for pair, end := pairs.Of(owner); pair < end; pair++ {
					_, _ = pairs.Keys().At(pair), pairs.Values().Value(pair)
				}
			}
		}
	}
	for _, texts := range []traceweir.Texts{batch.Names(), batch.EventNames(), batch.SpanAttributeKeys(), batch.PeerAddresses()} {
		list(texts)
	}
	for row := range batch.Rows() {
		_, _ = batch.Budget(0).Of(row), batch.Budget(1).Of(row)
		_ = batch.PeerAddresses().At(int(batch.ResourceIndices()[row]))
	}
	batch.TraceGroups()
}

func TestStrangeBytesAreRefusedOrRead(t *testing.T) {
	projection := everything()
	good := sample().Encode(projection)
	random := rand.New(rand.NewPCG(3, 4))
	readable := 0
	for range 20_000 {
		data := bytes.Clone(good)
		for range 1 + random.IntN(3) {
			data[random.IntN(len(data))] = [...]byte{0, 1, 2, 3, 8, 127, 254, 255}[random.IntN(8)]
		}
		batch, err := traceweir.ReadBatch(data)
		if err == nil && batch.Require(projection) == nil {
			read(batch, projection)
			readable++
		}
	}
	if readable == 0 {
		t.Error("nothing was readable: the test tests nothing")
	}
}

func FuzzReadBatch(f *testing.F) {
	projection := everything()
	f.Add(sample().Encode(projection))
	f.Fuzz(func(_ *testing.T, data []byte) {
		batch, err := traceweir.ReadBatch(data)
		if err == nil && batch.Require(projection) == nil {
			read(batch, projection)
		}
	})
}
