package traceweir

import (
	"slices"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Info is what a plugin says of itself.
type Info struct {
	Name        string
	Version     string
	Description string
	// ConfigSchema is a JSON Schema (2020-12) of the configuration, which the host holds against one before the
	// plugin sees it; empty: everything is passed.
	ConfigSchema string
	// Stateless: same input, same output, and nothing remembered from one call for the next. The host may then run
	// an instance per thread, share it among tenants, and drop it at will.
	Stateless bool
}

// Owner says whose attribute it is, numbered as in the WIT.
type Owner uint8

const (
	Span     Owner = codes.OwnerSpan
	Resource Owner = codes.OwnerResource
	Scope    Owner = codes.OwnerScope
	Event    Owner = codes.OwnerEvent
	Link     Owner = codes.OwnerLink
)

var domainOf = [...]uint8{
	codes.DomainSpans, codes.DomainResources, codes.DomainScopes, codes.DomainEvents, codes.DomainLinks,
}

// Field is what a plugin reads or writes: an [Intrinsic], an [Attribute] or [Attributes].
type Field interface {
	// in says whether a batch has what reading the field at this place gives.
	in(b *Batch, place uint32) bool
}

// Attribute is one attribute by its key.
type Attribute struct {
	Owner Owner
	Key   string
	// Complex: values that are arrays, maps or bytes are passed, too. Without it only their type is seen.
	Complex bool
}

// Attributes are all attributes whose key starts with Prefix; the empty one is all of them.
type Attributes struct {
	Owner   Owner
	Prefix  string
	Complex bool
}

func (i Intrinsic) in(b *Batch, _ uint32) bool { return b.find(uint16(i), 0) != nil }

func (a Attribute) in(b *Batch, place uint32) bool {
	return slices.ContainsFunc(b.columns, func(c namedColumn) bool {
		return c.kind == codes.BatchAttribute && c.argument == place && c.domain == domainOf[a.Owner]
	})
}

func (a Attributes) in(b *Batch, place uint32) bool {
	return slices.ContainsFunc(b.pairs, func(p Pairs) bool {
		return p.place == place && p.domain == domainOf[a.Owner]
	})
}

// MatchRule: a resource matches when its attribute by this key is one of these texts.
type MatchRule struct {
	Key   string
	AnyOf []string
}

// BudgetRule says that so many rows may be kept in a stretch of time. The host counts what is kept, and each batch
// has limit and use as a [Budget].
type BudgetRule struct {
	Name string
	// Per: each value of this attribute has a budget of its own; nil: there is one for all. Owners are Span and
	// Resource only.
	Per *Attribute
	// Limit is in rows.
	Limit uint64
	// WindowMS is from 100 to 3,600,000.
	WindowMS uint32
}

// Read is a place in the projection's reads, by which [Batch.Column] and [Batch.Pairs] find what is there.
type Read uint32

// Write is a place in the projection's writes, by which [Answer.Set] and [Answer.Add] know what is meant.
type Write uint32

// BudgetAt is a place in the projection's budgets.
type BudgetAt uint32

// Projection is what a plugin reads and what it may write. Nothing else crosses to it, and one edit of something
// else fails the whole answer.
type Projection struct {
	Reads  []Field
	Writes []Field
	// MatchResource: only spans of resources that match every rule are passed.
	MatchResource []MatchRule
	Budgets       []BudgetRule
	// MaxBatchRows is the most rows that the plugin wants in a batch; 0 leaves it to the host.
	MaxBatchRows uint32
}

// Read reads a field, once however often it is asked for.
func (p *Projection) Read(field Field) Read {
	return Read(placeOf(&p.Reads, field))
}

// Write may write a field.
func (p *Projection) Write(field Field) Write {
	return Write(placeOf(&p.Writes, field))
}

// Budget has the host count a budget.
func (p *Projection) Budget(budget BudgetRule) BudgetAt {
	p.Budgets = append(p.Budgets, budget)
	return BudgetAt(len(p.Budgets) - 1)
}

// placeOf is where a field stands, which is put there first if it is nowhere.
func placeOf(list *[]Field, field Field) int {
	place := slices.Index(*list, field)
	if place < 0 {
		place = len(*list)
		*list = append(*list, field)
	}
	return place
}
