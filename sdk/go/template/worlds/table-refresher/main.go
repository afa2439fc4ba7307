// My-plugin is a refresher: it makes the table teams of the lines that a server says, such as shop=checkout.
package main

import (
	"fmt"
	"strings"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/config"
	"github.com/traceweir/traceweir/sdk/go/host/fetch"
	"github.com/traceweir/traceweir/sdk/go/refresher"
)

func init() {
	refresher.Register(traceweir.Info{
		Name:        "my-plugin",
		Version:     "0.1.0",
		Description: "makes a table of what a server says",
		Stateless:   true,
	}, configure)
}

// Go wants it; nobody calls it.
func main() {}

// plugin is the configuration, too. What that does not have stays as configure has set it.
type plugin struct {
	// URL is what is asked; the definition of the plugin has to allow its host.
	URL string `json:"url"`
	// Interval is how often.
	Interval uint32 `json:"interval_seconds"`
}

// configure is called once.
func configure(json []byte) (refresher.Refresher, error) {
	p := &plugin{Interval: 60}
	if err := config.Read(json, p); err != nil {
		return nil, err
	}
	if p.URL == "" {
		return nil, config.Missing("$.url")
	}
	return p, nil
}

// IntervalSeconds is how often it is called.
func (p *plugin) IntervalSeconds() uint32 { return p.Interval }

// Refresh is called now and then; what it returns replaces the tables that it names. With an error they stay.
func (p *plugin) Refresh() ([]refresher.Table, error) {
	request := fetch.Request{
		Method: "GET", URL: p.URL, Headers: []fetch.Header{{Name: "accept", Value: "text/plain"}}, TimeoutMS: 10_000,
	}
	response, err := fetch.Send(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.URL, err)
	}
	if response.Status != 200 {
		return nil, fmt.Errorf("%s answers %d", p.URL, response.Status)
	}
	table := refresher.Table{Name: "teams"}
	for line := range strings.Lines(string(response.Body)) {
		if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			table.Entries = append(table.Entries, refresher.Entry{Key: key, Value: value})
		}
	}
	return []refresher.Table{table}, nil
}
