package traceweir

import (
	"math/rand/v2"
	"strings"
	"testing"
)

func TestTextsAreNumberedAsTheyComeFirst(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var n numbering
		known := map[string]uint32{}
		for range 300 {
			text := strings.Repeat("größe", random.IntN(4)) + strings.Repeat("\x00", random.IntN(20))
			want, there := known[text]
			if !there {
				want = uint32(len(known))
				known[text] = want
			}
			if got := n.of(strings.Clone(text)); got != want || n.texts[got] != text {
				t.Fatalf("%q has number %d, and not %d", text, got, want)
			}
		}
	}
}
