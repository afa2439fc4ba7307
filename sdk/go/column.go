package traceweir

import "github.com/traceweir/traceweir/sdk/go/codes"

// Column has the value that each owner has of one attribute.
type Column struct {
	tags  []uint8
	words []uint64
	texts Texts
	blobs Texts
	// Whether there is a section of blobs: without it only types are seen.
	encoded bool
}

// take takes one of its up to four sections.
func (c *Column) take(s section) (err error) {
	switch s.layout {
	case codes.LayoutU8:
		c.tags = s.data
	case codes.LayoutU64:
		c.words = numbers[uint64](s.data)
	case codes.LayoutText:
		if c.texts, err = readTexts(s); err == nil {
			err = c.texts.check(s, 0)
		}
	case codes.LayoutBlob:
		c.encoded = true
		if c.blobs, err = readTexts(s); err == nil {
			err = c.blobs.check(s, 0)
		}
	}
	return err
}

// finish leaves it with so many entries, or all for a negative number, each with what its tag says.
func (c *Column) finish(s section, entries int) error {
	if entries < 0 {
		entries = len(c.tags)
	}
	if len(c.tags) < entries {
		return s.bad("too few entries")
	}
	c.tags = c.tags[:entries]
	for i, tag := range c.tags {
		there := true
		switch tag {
		case codes.TagAbsent, codes.TagEmpty:
		case codes.TagString:
			there = i < c.texts.Len() && c.texts.Index(i) >= 0
		case codes.TagInt, codes.TagDouble, codes.TagBool:
			there = i < len(c.words)
		case codes.TagBytes, codes.TagArray, codes.TagMap:
			there = !c.encoded || i < c.blobs.Len() && c.blobs.Index(i) >= 0
		default:
			return s.bad("a tag that there is not")
		}
		if !there {
			return s.bad("no value where a tag says that there is one")
		}
	}
	return nil
}

// Len is the number of owners.
func (c Column) Len() int { return len(c.tags) }

// Type is the type of the value that owner i has.
func (c Column) Type(i int) Type { return Type(c.tags[i]) }

// Value is the value that owner i has.
func (c Column) Value(i int) Value {
	value := Value{Type: Type(c.tags[i])}
	switch value.Type {
	case String:
		value.text = c.texts.At(i)
	case Int, Double, Bool:
		value.word = c.words[i]
	case Bytes, Array, Map:
		if c.encoded {
			value.text = c.blobs.At(i)
		}
	}
	return value
}

// Text is the string that owner i has, if it is one.
func (c Column) Text(i int) (text string, ok bool) {
	if c.tags[i] != codes.TagString {
		return "", false
	}
	return c.texts.At(i), true
}

// Index is the number, among [Column.Texts], of the string that owner i has; -1 where it has none.
func (c Column) Index(i int) int {
	if c.tags[i] != codes.TagString {
		return -1
	}
	return c.texts.Index(i)
}

// Texts has the strings that occur, for what depends on the string alone and is worked out once for each.
func (c Column) Texts() Texts { return c.texts }

// Pairs are all attributes whose key begins as asked for: key and value, owner after owner.
type Pairs struct {
	place  uint32
	domain uint8
	ends   []uint32
	keys   Texts
	values Column
}

func (p *Pairs) finish(s section) error {
	last := uint32(0)
	for _, end := range p.ends {
		if end < last {
			return s.bad("pairs end before they begin")
		}
		last = end
	}
	pairs := int(last)
	if err := p.keys.check(s, pairs); err != nil {
		return err
	}
	for pair := range pairs {
		if p.keys.Index(pair) < 0 {
			return s.bad("a pair has no key")
		}
	}
	return p.values.finish(s, pairs)
}

// Len is the number of pairs.
func (p Pairs) Len() int { return p.values.Len() }

// Owners is the number of owners.
func (p Pairs) Owners() int { return len(p.ends) }

// Of says which pairs an owner has: from start to before end.
func (p Pairs) Of(owner int) (start, end int) {
	if owner > 0 {
		start = int(p.ends[owner-1])
	}
	return start, int(p.ends[owner])
}

// Keys has the key of each pair.
func (p Pairs) Keys() Texts { return p.keys }

// Values has the value of each pair.
func (p Pairs) Values() Column { return p.values }
