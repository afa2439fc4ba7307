package main

import (
	"testing"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/vectors"
	"github.com/traceweir/traceweir/sdk/go/plugintest"
)

func TestTokensAreMaskedWhereverTheyStand(t *testing.T) {
	plugin, projection, err := configure([]byte(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ url, masked string }{
		{"https://a/?token=abc&b=1", "https://a/?token=***&b=1"},
		{"https://a/?b=1&token=abc", "https://a/?b=1&token=***"},
		{"token=a token=b#token=c", "token=*** token=***#token=***"},
		{"tototoken=é&tokentoken=", "tototoken=***&tokentoken=***"},
		{"https://a/?token=***", ""},
		{"token", ""},
		{"", ""},
	}
	var data plugintest.Data
	for _, c := range cases {
		data.Spans = append(data.Spans, plugintest.Span{Attributes: plugintest.Attributes{"url.full": c.url}})
	}
	answer, err := plugin.Process(data.Batch(projection))
	if err != nil {
		t.Fatal(err)
	}
	urls := answer.Set(0, traceweir.Span)
	for row, c := range cases {
		if got := urls.At(row).Text(); got != c.masked {
			t.Errorf("%q becomes %q, and not %q", c.url, got, c.masked)
		}
	}
}

func TestVectors(t *testing.T) { vectors.Run(t, "scrub", forVectors) }

func TestStrangeBytesAreRefused(t *testing.T) { vectors.Mutate(t, "scrub", forVectors) }

func forVectors(config []byte) (vectors.Call, *traceweir.Projection, error) {
	plugin, projection, err := configure(config)
	if err != nil {
		return nil, nil, err
	}
	return plugin.Process, projection, nil
}
