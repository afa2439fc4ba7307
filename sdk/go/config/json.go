package config

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// depthMax is how deep objects and arrays may lie in each other.
const depthMax = 128

// number is a JSON number as it is written.
type number string

// object has its members in the order of the text.
type object []member

type member struct {
	key   string
	value any
}

// parser reads RFC 8259 into number, string, bool, nil, []any and object.
type parser struct {
	rest  string
	depth int
}

func (p *parser) document() (any, error) {
	value, err := p.value("$")
	if err != nil {
		return nil, err
	}
	p.space()
	if p.rest != "" {
		return nil, Wrong("$", "there is more after its end")
	}
	return value, nil
}

func (p *parser) space() {
	p.rest = strings.TrimLeft(p.rest, " \t\r\n")
}

// take goes past a text, if it is next.
func (p *parser) take(text string) bool {
	rest, ok := strings.CutPrefix(p.rest, text)
	p.rest = rest
	return ok
}

func (p *parser) value(path string) (any, error) {
	p.space()
	switch {
	case p.take("{"):
		return nested(p, path, p.object)
	case p.take("["):
		return nested(p, path, p.array)
	case p.take(`"`):
		return p.text(path)
	case p.take("true"):
		return true, nil
	case p.take("false"):
		return false, nil
	case p.take("null"):
		return nil, nil
	}
	if n := numberLength(p.rest); n > 0 {
		digits := p.rest[:n]
		p.rest = p.rest[n:]
		return number(digits), nil
	}
	return nil, Wrong(path, "is not JSON")
}

func nested(p *parser, path string, read func(string) (any, error)) (any, error) {
	p.depth++
	if p.depth > depthMax {
		return nil, Wrong(path, "lies too deep")
	}
	value, err := read(path)
	p.depth--
	return value, err
}

func (p *parser) object(path string) (any, error) {
	members := object{}
	known := map[string]bool{}
	for first := true; ; first = false {
		p.space()
		if first && p.take("}") {
			return members, nil
		}
		if !p.take(`"`) {
			return nil, Wrong(path, "is not JSON: a key is missing")
		}
		key, err := p.text(path)
		if err != nil {
			return nil, err
		}
		p.space()
		if !p.take(":") {
			return nil, Wrong(child(path, key), "is not JSON: a colon is missing")
		}
		if known[key] {
			return nil, Wrong(child(path, key), "is there twice")
		}
		known[key] = true
		value, err := p.value(child(path, key))
		if err != nil {
			return nil, err
		}
		members = append(members, member{key, value})
		p.space()
		if p.take("}") {
			return members, nil
		}
		if !p.take(",") {
			return nil, Wrong(path, "is not JSON: a comma is missing")
		}
	}
}

func (p *parser) array(path string) (any, error) {
	elements := []any{}
	p.space()
	if p.take("]") {
		return elements, nil
	}
	for {
		element, err := p.value(path + "[" + strconv.Itoa(len(elements)) + "]")
		if err != nil {
			return nil, err
		}
		elements = append(elements, element)
		p.space()
		if p.take("]") {
			return elements, nil
		}
		if !p.take(",") {
			return nil, Wrong(path, "is not JSON: a comma is missing")
		}
	}
}

// text reads a string whose opening quote is behind.
func (p *parser) text(path string) (string, error) {
	end := strings.IndexAny(p.rest, `"\`)
	if end >= 0 && p.rest[end] == '"' && printable(p.rest[:end]) {
		text := p.rest[:end]
		p.rest = p.rest[end+1:]
		return text, nil
	}
	var text strings.Builder
	for p.rest != "" {
		next, size := utf8.DecodeRuneInString(p.rest)
		if next < ' ' || next == utf8.RuneError && size == 1 {
			break
		}
		p.rest = p.rest[size:]
		switch next {
		case '"':
			return text.String(), nil
		case '\\':
			escaped, ok := p.escape()
			if !ok {
				return "", Wrong(path, "is not JSON: an escape that there is not")
			}
			text.WriteRune(escaped)
		default:
			text.WriteRune(next)
		}
	}
	return "", Wrong(path, "is not JSON: a string that does not end")
}

func printable(text string) bool {
	for i := range len(text) {
		if text[i] < ' ' {
			return false
		}
	}
	return utf8.ValidString(text)
}

func (p *parser) escape() (rune, bool) {
	if p.rest == "" {
		return 0, false
	}
	letter := p.rest[0]
	p.rest = p.rest[1:]
	if letter == 'u' {
		return p.unicode()
	}
	if at := strings.IndexByte(`"\/bfnrt`, letter); at >= 0 {
		return rune("\"\\/\b\f\n\r\t"[at]), true
	}
	return 0, false
}

func (p *parser) unicode() (rune, bool) {
	first, ok := p.hex()
	if !ok || !utf16.IsSurrogate(first) {
		return first, ok
	}
	if !p.take(`\u`) {
		return 0, false
	}
	second, ok := p.hex()
	both := utf16.DecodeRune(first, second)
	return both, ok && both != utf8.RuneError
}

func (p *parser) hex() (rune, bool) {
	if len(p.rest) < 4 || strings.IndexAny(p.rest[:4], "+-_") >= 0 {
		return 0, false
	}
	code, err := strconv.ParseUint(p.rest[:4], 16, 16)
	p.rest = p.rest[4:]
	return rune(code), err == nil
}

// numberLength is how many bytes of text are a JSON number.
func numberLength(text string) int {
	at := 0
	digits := func() bool {
		from := at
		for at < len(text) && '0' <= text[at] && text[at] <= '9' {
			at++
		}
		return at > from
	}
	one := func(of string) bool {
		if at < len(text) && strings.IndexByte(of, text[at]) >= 0 {
			at++
			return true
		}
		return false
	}
	one("-")
	if !one("0") && !digits() {
		return 0
	}
	if one(".") && !digits() {
		return 0
	}
	if one("eE") {
		one("+-")
		if !digits() {
			return 0
		}
	}
	return at
}
