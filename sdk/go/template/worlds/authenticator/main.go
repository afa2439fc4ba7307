// My-plugin is an authenticator: keys in the header x-api-key, and whose they are.
package main

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/authenticator"
	"github.com/traceweir/traceweir/sdk/go/config"
)

func init() {
	authenticator.Register(traceweir.Info{
		Name:        "my-plugin",
		Version:     "0.1.0",
		Description: "lets in who shows a key that is known",
		// Same request, same answer: the host may run an instance per thread.
		Stateless: true,
	}, configure)
}

// Go wants it; nobody calls it.
func main() {}

// ttlSeconds is for how long the host keeps an answer.
const ttlSeconds = 300

// plugin is the configuration, too.
type plugin struct {
	// Keys are of tenants.
	Keys map[string]string `json:"keys"`
}

// configure is called once, before any request.
func configure(json []byte) (authenticator.Authenticator, error) {
	p := &plugin{}
	if err := config.Read(json, p); err != nil {
		return nil, err
	}
	if p.Keys == nil {
		return nil, config.Missing("$.keys")
	}
	return p, nil
}

// Authenticate is called once for each credential, not for each request.
func (p *plugin) Authenticate(request *authenticator.Request) (*authenticator.Identity, error) {
	key, _ := request.Header("x-api-key")
	tenant, ok := p.Keys[key]
	if !ok {
		return nil, &authenticator.Denied{Status: 401, Message: "no key that is known here", TTLSeconds: ttlSeconds}
	}
	return &authenticator.Identity{
		Tenants:     []string{tenant},
		Permissions: []authenticator.Permission{authenticator.Ingest, authenticator.Query},
		TTLSeconds:  ttlSeconds,
	}, nil
}
