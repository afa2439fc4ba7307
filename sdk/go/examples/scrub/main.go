// Scrub is a processor that masks what follows `token=` in `url.full`, and removes `http.request.header.*`.
package main

import (
	"strings"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/processor"
)

func init() {
	processor.Register(traceweir.Info{
		Name:        "scrub",
		Version:     "0.1.0",
		Description: "masks tokens in URLs and removes headers",
		Stateless:   true,
	}, configure)
}

func main() {}

const (
	headers = "http.request.header."
	name    = "token="
	mask    = "***"
)

type scrub struct {
	url traceweir.Read
	to  traceweir.Write
}

func configure(json []byte) (processor.Processor, *traceweir.Projection, error) {
	if err := config.Read(json, &struct{}{}); err != nil {
		return nil, nil, err
	}
	url := traceweir.Attribute{Owner: traceweir.Span, Key: "url.full"}
	projection := &traceweir.Projection{}
	s := &scrub{url: projection.Read(url), to: projection.Write(url)}
	projection.Write(traceweir.Attributes{Owner: traceweir.Span, Prefix: headers})
	return s, projection, nil
}

func (s *scrub) Process(batch *traceweir.Batch) (*traceweir.Answer, error) {
	answer := batch.Edits()
	answer.DeleteStarting(traceweir.Span, headers)
	urls, to := batch.Column(s.url), answer.Set(s.to, traceweir.Span)
	masked := maskAll(urls.Texts())
	for row := range urls.Len() {
		if url := urls.Index(row); url >= 0 && masked[url] != "" {
			to.PutText(row, masked[url])
		}
	}
	return answer, nil
}

// maskAll is each text with its tokens masked, once for each, as many rows may have the same; empty for one that stays
// as it is. They lie behind each other in memory that is taken at once.
func maskAll(texts traceweir.Texts) []string {
	all := make([]string, texts.Values())
	var out strings.Builder
	out.Grow(texts.Size())
	for i := range all {
		text, start := texts.Value(i), out.Len()
		if !maskTo(&out, text) {
			continue
		}
		// What is masked already stays as it is.
		if masked := out.String()[start:]; masked != text {
			all[i] = masked
		}
	}
	return all
}

// maskTo writes the text with a mask in the place of each token, if there is one.
func maskTo(out *strings.Builder, text string) bool {
	end := afterName(text)
	if end == 0 {
		return false
	}
	for ; end > 0; end = afterName(text) {
		out.WriteString(text[:end])
		out.WriteString(mask)
		text = text[end:]
		text = text[tokenEnd(text):]
	}
	out.WriteString(text)
	return true
}

// tokenEnd is where the token ends that the text begins with.
func tokenEnd(text string) int {
	for i := range len(text) {
		if c := text[i]; c == '&' || c == '#' || c == ' ' {
			return i
		}
	}
	return len(text)
}

// skips is how far it is from where a name could end to where it could next, by the byte that stands there (Horspool):
// strings.Index looks at each byte.
var skips = func() (skips [256]uint8) {
	for i := range skips {
		skips[i] = uint8(len(name))
	}
	for i := range len(name) - 1 {
		skips[name[i]] = uint8(len(name) - 1 - i)
	}
	return skips
}()

// afterName is where the first name of a token ends; 0 where there is none.
func afterName(text string) int {
	for end := len(name); end <= len(text); end += int(skips[text[end-1]]) {
		if text[end-1] == name[len(name)-1] && text[end-len(name):end] == name {
			return end
		}
	}
	return 0
}
