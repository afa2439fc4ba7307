package config

import (
	"errors"
	"reflect"
	"testing"
	"time"

	traceweir "github.com/traceweir/traceweir/sdk/go"
)

type inner struct {
	Keys []string          `json:"keys"`
	By   map[string]uint16 `json:"by"`
}

type settings struct {
	Name    string  `json:"name"`
	Count   int32   `json:"count"`
	Ratio   float64 `json:"ratio"`
	On      bool    `json:"on"`
	Nested  inner   `json:"nested"`
	Maybe   *uint64 `json:"maybe"`
	Any     any     `json:"any"`
	At      moment  `json:"at"`
	Plain   string
	ignored string
}

type moment struct{ time.Time }

func TestReadFillsWhatIsThere(t *testing.T) {
	three := uint64(3)
	got := settings{Name: "before", Count: 7, Maybe: &three}
	err := Read([]byte(` {"count": -2, "ratio": 1e-1, "on": true, "Plain": "a\u00e9\ud83e\udd8a\n",
		"nested": {"keys": ["x", ""], "by": {"ü": 65535}}, "maybe": null, "any": [1, {"a": "b"}, null],
		"at": "2026-11-30T00:00:00Z"}
	`), &got)
	want := settings{
		Name: "before", Count: -2, Ratio: 0.1, On: true, Plain: "aé🦊\n",
		Nested: inner{Keys: []string{"x", ""}, By: map[string]uint16{"ü": 65535}},
		Any:    []any{1.0, map[string]any{"a": "b"}, nil},
		At:     moment{time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestErrorsNameThePath(t *testing.T) {
	for json, path := range map[string]string{
		``:                                    "$",
		`{`:                                   "$",
		`[]`:                                  "$",
		`{} x`:                                "$",
		`{"name": "a",}`:                      "$",
		`{"name" 1}`:                          "$.name",
		`{"name": }`:                          "$.name",
		`{"name": 1}`:                         "$.name",
		`{"name": "a", "name": "b"}`:          "$.name",
		`{"name": "\x"}`:                      "$.name",
		`{"name": "\ud800"}`:                  "$.name",
		"{\"name\": \"\x01\"}":                "$.name",
		"{\"name\": \"\xff\"}":                "$.name",
		`{"Name": "a"}`:                       "$.Name",
		`{"ignored": "a"}`:                    "$.ignored",
		`{"count": 1.0}`:                      "$.count",
		`{"count": 2147483648}`:               "$.count",
		`{"count": 01}`:                       "$",
		`{"count": null}`:                     "$.count",
		`{"ratio": 1e400}`:                    "$.ratio",
		`{"ratio": "1"}`:                      "$.ratio",
		`{"on": 0}`:                           "$.on",
		`{"maybe": -1}`:                       "$.maybe",
		`{"at": "noon"}`:                      "$.at",
		`{"nested": {"keys": ["a", "b", 3]}}`: "$.nested.keys[2]",
		`{"nested": {"by": {"a b": 65536}}}`:  "$.nested.by.a b",
		`{"nested": {"foo": {}}}`:             "$.nested.foo",
	} {
		var wrong *traceweir.ConfigError
		if err := Read([]byte(json), &settings{}); !errors.As(err, &wrong) || wrong.Path != path {
			t.Errorf("%s: %v, and not an error at %s", json, err, path)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"nested": {"keys": ["\u00e9"], "by": {"a": 1e0}}, "any": [[[]]]}`))
	f.Fuzz(func(_ *testing.T, json []byte) { Read(json, &settings{}) })
}
