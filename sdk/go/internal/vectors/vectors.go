// Package vectors holds the examples against sdk/vectors, which every SDK answers alike, byte for byte.
package vectors

import (
	"bytes"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
)

// Call answers a batch.
type Call func(*traceweir.Batch) (*traceweir.Answer, error)

// Configure makes an instance.
type Configure func(config []byte) (Call, *traceweir.Projection, error)

type vector struct {
	About       string
	Config      json.RawMessage
	ConfigError *struct{ Path string } `json:"config_error"`
	Batch       []byte
	Answer      []byte
	BadBatch    bool `json:"bad_batch"`
}

// Run runs those of an example.
func Run(t *testing.T, example string, configure Configure) {
	for _, v := range read(t, example) {
		t.Run(v.About, func(t *testing.T) { v.check(t, configure) })
	}
}

// Mutate holds the example against batches with bytes that the host would not send: it may answer or refuse, and
// that is all.
func Mutate(t *testing.T, example string, configure Configure) {
	for _, v := range read(t, example) {
		call, projection, err := configure(v.Config)
		if err != nil || len(v.Batch) == 0 {
			continue
		}
		random := rand.New(rand.NewPCG(1, 2))
		for range 3000 {
			batch := bytes.Clone(v.Batch)
			for range 1 + random.IntN(3) {
				batch[random.IntN(len(batch))] = [...]byte{0, 1, 2, 7, 127, 255}[random.IntN(6)]
			}
			answer(batch[:len(batch)-random.IntN(2)*random.IntN(len(batch))], call, projection)
		}
	}
}

func read(t *testing.T, example string) (all []vector) {
	files, _ := filepath.Glob(filepath.Join("..", "..", "..", "vectors", example+"-*.json"))
	if len(files) == 0 {
		t.Skip("sdk/vectors is not there")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var v vector
		if err := json.Unmarshal(text, &v); err != nil {
			t.Fatal(err)
		}
		v.About = filepath.Base(file) + ": " + v.About
		all = append(all, v)
	}
	return all
}

func (v vector) check(t *testing.T, configure Configure) {
	call, projection, err := configure(v.Config)
	if v.ConfigError != nil {
		var wrong *traceweir.ConfigError
		if !errors.As(err, &wrong) || wrong.Path != v.ConfigError.Path {
			t.Fatalf("%v, and not an error at %s", err, v.ConfigError.Path)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	got, err := answer(v.Batch, call, projection)
	var bad *traceweir.Error
	switch {
	case v.BadBatch && (!errors.As(err, &bad) || bad.Kind != traceweir.KindBadInput):
		t.Fatalf("%v, and not bad input", err)
	case !v.BadBatch && err != nil:
		t.Fatal(err)
	case !v.BadBatch && !bytes.Equal(got, v.Answer):
		t.Fatalf("answers\n%x, and not\n%x", got, v.Answer)
	}
}

// answer is what internal/guest does.
func answer(data []byte, call Call, projection *traceweir.Projection) ([]byte, error) {
	batch, err := traceweir.ReadBatch(data)
	if err == nil {
		err = batch.Require(projection)
	}
	if err != nil {
		return nil, err
	}
	answer, err := call(batch)
	if err != nil {
		return nil, err
	}
	return answer.Encode(), nil
}
