// Package authenticator is for plugins that say who somebody is: once per credential, not per request.
package authenticator

import (
	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/internal/guest"
)

// Request is one whose sender is to be known.
type Request struct {
	Method string
	Path   string
	PeerIP string
	// Headers are those that the attachment names, and no others; names in lower case.
	Headers []Header
	// Certificate is what a client certificate that was verified says; nil where there is none.
	Certificate *Certificate
}

// Header is a name, in lower case, and its value.
type Header struct {
	Name  string
	Value []byte
}

// Header is the first one with a name, in lower case.
func (r *Request) Header(name string) (value string, ok bool) {
	for _, header := range r.Headers {
		if header.Name == name {
			return string(header.Value), true
		}
	}
	return "", false
}

// Certificate is what stands in a client certificate.
type Certificate struct {
	Subject string
	Names   []string
}

// Permission is what somebody may do, numbered as in the WIT.
type Permission uint8

const (
	Ingest Permission = iota
	Query
	Admin
)

// Identity is who somebody is.
type Identity struct {
	Tenants     []string
	Permissions []Permission
	// RateClass is the class of limits; empty: none.
	RateClass string
	// Cluster is the one whose spans these are; empty: none.
	Cluster string
	// TTLSeconds is for how long the host keeps the answer.
	TTLSeconds uint32
}

// Denied is the error of whoever is nobody. Any other error is a 401 that is kept for no time.
type Denied struct {
	// Status is 401 or 403.
	Status  uint16
	Message string
	// TTLSeconds is for how long the same credential is denied without being asked about again.
	TTLSeconds uint32
}

func (d *Denied) Error() string { return d.Message }

// Authenticator is a plugin of the world authenticator-plugin.
type Authenticator interface {
	// Authenticate says who has sent a request. Its error may be [Denied].
	Authenticate(request *Request) (*Identity, error)
}

var instance Authenticator

// Register makes the program this plugin; an init function calls it. configure is called once, before any request,
// with the configuration, JSON; its error may be a [traceweir.ConfigError].
func Register(info traceweir.Info, configure func(config []byte) (Authenticator, error)) {
	guest.Register(info, func(config []byte) (projection *traceweir.Projection, err error) {
		instance, err = configure(config)
		return &traceweir.Projection{}, err
	})
}
