package traceweir

import (
	"math"

	"github.com/traceweir/traceweir/sdk/go/codes"
)

// Type says of which type the value of an attribute is.
type Type uint8

const (
	// Absent: there is no such attribute; in an answer: it stays as it is.
	Absent Type = codes.TagAbsent
	String Type = codes.TagString
	Int    Type = codes.TagInt
	Double Type = codes.TagDouble
	Bool   Type = codes.TagBool
	// Bytes, Array and Map are an OTLP AnyValue in protobuf, and empty where Complex was not asked for.
	Bytes Type = codes.TagBytes
	Array Type = codes.TagArray
	Map   Type = codes.TagMap
	// Empty is an attribute without a value.
	Empty Type = codes.TagEmpty
	// Removed: in an answer, the attribute goes.
	Removed Type = codes.TagRemove
)

// Value is the value of an attribute. The zero Value is absent.
type Value struct {
	Type Type
	word uint64
	text string
}

// StringValue is a string.
func StringValue(text string) Value { return Value{Type: String, text: text} }

// IntValue is a whole number.
func IntValue(number int64) Value { return Value{Type: Int, word: uint64(number)} }

// DoubleValue is a floating point number.
func DoubleValue(number float64) Value { return Value{Type: Double, word: math.Float64bits(number)} }

// BoolValue is true or false.
func BoolValue(is bool) Value {
	if is {
		return Value{Type: Bool, word: 1}
	}
	return Value{Type: Bool}
}

// EmptyValue is an attribute without a value.
func EmptyValue() Value { return Value{Type: Empty} }

// EncodedValue is bytes, an array or a map, as an OTLP AnyValue in protobuf.
func EncodedValue(t Type, anyValue string) Value { return Value{Type: t, text: anyValue} }

// Text is the string; empty of other types.
func (v Value) Text() string {
	if v.Type == String {
		return v.text
	}
	return ""
}

// Int is the number of an [Int]; 0 of other types.
func (v Value) Int() int64 {
	if v.Type == Int {
		return int64(v.word)
	}
	return 0
}

// Double is the number of a [Double]; 0 of other types.
func (v Value) Double() float64 {
	if v.Type == Double {
		return math.Float64frombits(v.word)
	}
	return 0
}

// Bool is whether a [Bool] is true.
func (v Value) Bool() bool { return v.Type == Bool && v.word != 0 }

// Encoded is the OTLP AnyValue of bytes, arrays and maps.
func (v Value) Encoded() string {
	switch v.Type {
	case Bytes, Array, Map:
		return v.text
	}
	return ""
}
