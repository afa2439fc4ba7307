package traceweir_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/codes"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

// part is a section of an answer.
type part struct {
	kind           uint16
	layout, domain uint8
	argument       uint32
	data           []byte
}

// parts takes an answer apart, and holds it against the header and the places of its sections.
func parts(t *testing.T, answer []byte, counts traceweir.Counts) (all []part) {
	t.Helper()
	word := func(at int) uint32 { return binary.LittleEndian.Uint32(answer[at:]) }
	header := []uint32{word(0), word(4), word(8), word(12), word(16), word(20), word(24)}
	same(t, "header", header, []uint32{
		codes.AnswerMagic, 1, uint32(counts.Rows), uint32(counts.Resources), uint32(counts.Scopes), uint32(counts.Events),
		uint32(counts.Traces),
	})
	end := uint32(32 + 16*word(28))
	for at := 32; at < int(32+16*word(28)); at += 16 {
		offset, length := word(at+8), word(at+12)
		if offset%8 != 0 || offset < end || offset >= end+8 {
			t.Fatalf("a section is at %d, and the one before it ends at %d", offset, end)
		}
		end = offset + length
		all = append(all, part{
			binary.LittleEndian.Uint16(answer[at:]), answer[at+2], answer[at+3], word(at + 4), answer[offset:end],
		})
	}
	same(t, "length", uint32(len(answer)), end)
	return all
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

// texts are a section: index, then values.
func texts(index []uint32, values ...string) []byte {
	data := slices.Concat(u32s(uint32(len(values)), uint32(len(index))), u32s(index...), u32s(0))
	end, heap := uint32(0), ""
	for _, value := range values {
		end += uint32(len(value))
		heap += value
		data = append(data, u32s(end)...)
	}
	return append(data, heap...)
}

func check(t *testing.T, answer *traceweir.Answer, counts traceweir.Counts, want ...part) {
	t.Helper()
	got := parts(t, answer.Encode(), counts)
	if len(got) != len(want) {
		t.Fatalf("%d sections, and not %d: %v", len(got), len(want), got)
	}
	for i := range want {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("section %d:\n%v, and not\n%v", i, got[i], want[i])
		}
	}
}

const none = codes.None

func TestAnAnswerThatSaysNothingHasNoSections(t *testing.T) {
	batch := sample().Batch(everything())
	answer := batch.Edits()
	answer.Set(0, traceweir.Span).Put(1, traceweir.Value{})
	answer.Count(traceweir.CounterOf(3), 0)
	check(t, answer, batch.Counts())
}

// editEverything edits a batch of everything in all ways that there are.
func editEverything(batch *traceweir.Batch, projection *traceweir.Projection) *traceweir.Answer {
	pairs := batch.Pairs(projection.Read(traceweir.Attributes{Owner: traceweir.Span, Prefix: "a", Complex: true}))
	a := batch.Edits()
	a.Count(traceweir.CounterOf(5), 1)
	a.Count(traceweir.CounterOf(2), math.MaxUint64)
	a.Count(traceweir.CounterOf(2), 1)
	a.Count(traceweir.CounterOf(5), 2)
	a.Add(3, 1, "k", traceweir.StringValue("v"))
	a.Add(1, 0, "n", traceweir.IntValue(-1))
	a.Add(3, 2, "k", traceweir.BoolValue(true))
	a.Set(2, traceweir.Resource).PutText(1, "b")
	a.Set(2, traceweir.Span).PutDouble(2, 0.5)
	a.Set(0, traceweir.Link).Remove(1)
	a.SetPairs(pairs).Put(0, traceweir.EncodedValue(traceweir.Map, "m"))
	a.DeleteKey(traceweir.Resource, "x")
	a.DeleteStarting(traceweir.Span, "x.")
	a.DeleteKey(traceweir.Span, "y")
	a.DeleteKey(traceweir.Span, "z")
	a.DeleteKey(traceweir.Span, "y")
	a.RenameReplacing(traceweir.Span, "a", "b")
	a.Rename(traceweir.Span, "b", "c")
	a.Rename(traceweir.Span, "c", "b")
	a.Drop(2, "late")
	a.Drop(0, "early")
	return a
}

func TestSectionsStandInTheirOrder(t *testing.T) {
	projection := everything()
	batch := sample().Batch(projection)
	a := editEverything(batch, projection)
	same(t, "dropped", []bool{a.Dropped(0), a.Dropped(1), a.Dropped(2)}, []bool{true, false, true})
	check(t, a, batch.Counts(),
		part{1, 5, 1, 0, u64s(0b010)},
		part{2, 6, 1, 0, texts([]uint32{0, none, 1}, "early", "late")},
		part{5, 6, 0, 0, texts([]uint32{0, 1, 1, 0}, "b", "c")},
		part{5, 6, 0, 256, texts([]uint32{0, 1}, "a", "b")},
		part{6, 6, 0, 0, texts([]uint32{0, 1, 0}, "y", "z")},
		part{6, 6, 0, 1, texts([]uint32{0}, "x")},
		part{7, 1, 6, 23, []byte{7, 0, 0}},
		part{7, 7, 6, 23, texts([]uint32{0, none, none}, "m")},
		part{8, 1, 8, 0, []byte{0, 255}},
		part{8, 1, 1, 2, []byte{0, 0, 3}},
		part{8, 3, 1, 2, u64s(0, 0, math.Float64bits(0.5))},
		part{8, 1, 2, 2, []byte{0, 1}},
		part{8, 6, 2, 2, texts([]uint32{none, 0}, "b")},
		part{9, 2, 0, 1, u32s(0)},
		part{9, 2, 0, 3, u32s(1, 2)},
		part{10, 6, 0, 1, texts([]uint32{0}, "n")},
		part{10, 6, 0, 3, texts([]uint32{0, 0}, "k")},
		part{11, 1, 0, 1, []byte{2}},
		part{11, 3, 0, 1, u64s(math.MaxUint64)},
		part{11, 1, 0, 3, []byte{1, 4}},
		part{11, 3, 0, 3, u64s(0, 1)},
		part{11, 6, 0, 3, texts([]uint32{0, none}, "v")},
		part{12, 10, 0, 0, u64s(5, 3, 2, math.MaxUint64)},
		part{13, 6, 0, 0, texts([]uint32{0}, "x.")},
	)
}

func TestTextsThatAreNearlyAllDifferentStandEachByItself(t *testing.T) {
	written := func(rows, different int, order []int) []byte {
		data := plugintest.Data{Resources: []plugintest.Resource{{}}, Scopes: []plugintest.Scope{{}}}
		data.Spans = make([]plugintest.Span, rows)
		a := data.Batch(everything()).Edits()
		values := a.Set(0, traceweir.Span)
		for _, i := range order {
			if i != 5 {
				values.PutText(i, fmt.Sprint("t", i%different))
			}
		}
		return a.Encode()
	}
	forward := func(rows int) (order []int) {
		for i := range rows {
			order = append(order, i)
		}
		return order
	}
	indices := func(rows, different int) uint32 {
		answer := written(rows, different, forward(rows))
		section := binary.LittleEndian.Uint32(answer[32+16+8:])
		return binary.LittleEndian.Uint32(answer[section+4:])
	}
	same(t, "113 of 128", indices(129, 113), uint32(0))
	same(t, "112 of 128", indices(129, 112), uint32(129))
	same(t, "too few to tell", indices(128, 128), uint32(128))
	for _, different := range []int{113, 112} {
		backwards := forward(300)
		slices.Reverse(backwards)
		for _, order := range [][]int{backwards, append(forward(300), 130, 7)} {
			if !bytes.Equal(written(300, different, order), written(300, different, forward(300))) {
				t.Errorf("%d different: another order gives another answer", different)
			}
		}
	}
}

func TestTheLastWordOnAnEntryCounts(t *testing.T) {
	batch := sample().Batch(everything())
	a := batch.Edits()
	values := a.Set(0, traceweir.Span)
	values.PutText(0, "gone")
	values.PutInt(0, 7)
	values.PutInt(1, 7)
	values.PutText(1, "late")
	values.PutText(2, "gone")
	values.Remove(2)
	same(t, "at", []traceweir.Value{values.At(0), values.At(1), values.At(2)},
		[]traceweir.Value{traceweir.IntValue(7), traceweir.StringValue("late"), {Type: traceweir.Removed}})
	check(t, a, batch.Counts(),
		part{8, 1, 1, 0, []byte{2, 1, 255}},
		part{8, 3, 1, 0, u64s(7, 0, 0)},
		part{8, 6, 1, 0, texts([]uint32{none, 0, none}, "late")},
	)
}

func TestManyTextsAreADictionary(t *testing.T) {
	batch := sample().Batch(everything())
	a := batch.Edits()
	var index []uint32
	var keys []string
	for i := range 40 {
		key := string(rune('a' + i%20))
		a.DeleteKey(traceweir.Span, key)
		index = append(index, uint32(i%20))
		if i < 20 {
			keys = append(keys, key)
		}
	}
	check(t, a, batch.Counts(), part{6, 6, 0, 0, texts(index, keys...)})
}

func TestDecisions(t *testing.T) {
	data, projection := sample(), everything()
	batch := data.Batch(projection)
	a := batch.Decisions()
	check(t, a, batch.Counts(), part{3, 1, 1, 0, []byte{1, 1, 1}})
	a.Decide(1, traceweir.KeepRatio(0.25), "ratio")
	a.Decide(2, traceweir.Drop, "")
	a.Decide(0, traceweir.KeepRatio(0.5), "ratio")
	a.Decide(0, traceweir.Keep, "kept")
	check(t, a, batch.Counts(),
		part{2, 6, 1, 0, texts([]uint32{0, 1, none}, "kept", "ratio")},
		part{3, 1, 1, 0, []byte{1, 2, 0}},
		part{4, 4, 1, 0, u64s(0, math.Float64bits(0.25), 0)},
	)

	data.Tail = true
	batch = data.Batch(projection)
	a = batch.Decisions()
	a.Decide(1, traceweir.Drop, "dull")
	check(t, a, batch.Counts(),
		part{2, 6, 5, 0, texts([]uint32{none, 0}, "dull")},
		part{3, 1, 5, 0, []byte{1, 0}},
	)
}

// TestCAnswersAlike holds the files that the tests of the C SDK read against what is written here. UPDATE=1 writes them.
func TestCAnswersAlike(t *testing.T) {
	projection := everything()
	data := sample().Encode(projection)
	batch, err := traceweir.ReadBatch(data)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string][]byte{
		"everything.batch":  data,
		"everything.answer": editEverything(batch, projection).Encode(),
	} {
		file := filepath.Join("..", "c", "tests", "data", name)
		if os.Getenv("UPDATE") != "" {
			if err := os.WriteFile(file, want, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			t.Skip("the C SDK is not there")
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s has %d bytes, %v, and not these %d", name, len(got), err, len(want))
		}
	}
}
