// Package config reads a plugin's configuration, JSON, into a struct, and says of what does not fit where it is. It
// is a third the size of encoding/json in a plugin, and knows the path of every value.
package config

import (
	"encoding"
	"math"
	"reflect"
	"strconv"
	"strings"

	traceweir "github.com/traceweir/traceweir/sdk/go"
)

// Read reads json into the struct, map or slice that into points to. Fields are named as for encoding/json
// (`json:"slow_ms"`), in exactly this spelling; what is not in the JSON stays as it is, so defaults are set
// before. A key that the struct does not have, null where into has no pointer, a number that does not fit: each is
// a [traceweir.ConfigError] with the path of the value. Types may implement encoding.TextUnmarshaler.
func Read(json []byte, into any) error {
	p := &parser{rest: string(json)}
	value, err := p.document()
	if err != nil {
		return err
	}
	return fill("$", value, reflect.ValueOf(into).Elem())
}

// Missing is the error for a value that has no default and is not there.
func Missing(path string) error { return Wrong(path, "missing") }

// Wrong is the error for a value that is there and cannot be used.
func Wrong(path, message string) error {
	return &traceweir.ConfigError{Path: path, Message: message}
}

func fill(path string, value any, into reflect.Value) error {
	if into.CanAddr() {
		if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
			return fillText(path, value, text)
		}
	}
	switch into.Kind() {
	case reflect.Pointer:
		if value == nil {
			into.SetZero()
			return nil
		}
		if into.IsNil() {
			into.Set(reflect.New(into.Type().Elem()))
		}
		return fill(path, value, into.Elem())
	case reflect.Interface:
		if into.NumMethod() == 0 {
			if value != nil {
				into.Set(reflect.ValueOf(plain(value)))
			}
			return nil
		}
	case reflect.Struct:
		if members, ok := value.(object); ok {
			return fillStruct(path, members, into)
		}
		return unexpected(path, value, "an object")
	case reflect.Map:
		if members, ok := value.(object); ok && into.Type().Key().Kind() == reflect.String {
			return fillMap(path, members, into)
		}
		return unexpected(path, value, "an object")
	case reflect.Slice:
		if elements, ok := value.([]any); ok {
			return fillSlice(path, elements, into)
		}
		return unexpected(path, value, "an array")
	case reflect.String:
		if text, ok := value.(string); ok {
			into.SetString(text)
			return nil
		}
		return unexpected(path, value, "a string")
	case reflect.Bool:
		if is, ok := value.(bool); ok {
			into.SetBool(is)
			return nil
		}
		return unexpected(path, value, "true or false")
	}
	return fillNumber(path, value, into)
}

func fillText(path string, value any, into encoding.TextUnmarshaler) error {
	text, ok := value.(string)
	if !ok {
		return unexpected(path, value, "a string")
	}
	if err := into.UnmarshalText([]byte(text)); err != nil {
		return Wrong(path, err.Error())
	}
	return nil
}

func fillStruct(path string, members object, into reflect.Value) error {
	for _, member := range members {
		field, ok := fieldNamed(into, member.key)
		if !ok {
			return Wrong(child(path, member.key), "unknown")
		}
		if err := fill(child(path, member.key), member.value, field); err != nil {
			return err
		}
	}
	return nil
}

func fieldNamed(into reflect.Value, key string) (reflect.Value, bool) {
	for i := range into.NumField() {
		field := into.Type().Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			name = field.Name
		}
		if name == key && name != "-" && field.IsExported() {
			return into.Field(i), true
		}
	}
	return reflect.Value{}, false
}

func fillMap(path string, members object, into reflect.Value) error {
	if into.IsNil() {
		into.Set(reflect.MakeMapWithSize(into.Type(), len(members)))
	}
	for _, member := range members {
		value := reflect.New(into.Type().Elem()).Elem()
		if err := fill(child(path, member.key), member.value, value); err != nil {
			return err
		}
		into.SetMapIndex(reflect.ValueOf(member.key).Convert(into.Type().Key()), value)
	}
	return nil
}

func fillSlice(path string, elements []any, into reflect.Value) error {
	into.Set(reflect.MakeSlice(into.Type(), len(elements), len(elements)))
	for i, element := range elements {
		if err := fill(path+"["+strconv.Itoa(i)+"]", element, into.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func fillNumber(path string, value any, into reflect.Value) error {
	digits, ok := value.(number)
	if !ok {
		return unexpected(path, value, "a number")
	}
	switch kind := into.Kind(); kind {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		whole, err := strconv.ParseInt(string(digits), 10, into.Type().Bits())
		if err != nil {
			return Wrong(path, string(digits)+" is no whole number, or too large")
		}
		into.SetInt(whole)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		whole, err := strconv.ParseUint(string(digits), 10, into.Type().Bits())
		if err != nil {
			return Wrong(path, string(digits)+" is no whole number, or negative or too large")
		}
		into.SetUint(whole)
	case reflect.Float32, reflect.Float64:
		real, err := strconv.ParseFloat(string(digits), into.Type().Bits())
		if err != nil || math.IsInf(real, 0) {
			return Wrong(path, string(digits)+" is too large")
		}
		into.SetFloat(real)
	default:
		return Wrong(path, "the plugin keeps it in a "+kind.String()+", which no JSON goes into")
	}
	return nil
}

// plain is a value for an `any`: float64, string, bool, nil, []any, map[string]any.
func plain(value any) any {
	switch value := value.(type) {
	case number:
		real, _ := strconv.ParseFloat(string(value), 64)
		return real
	case object:
		members := make(map[string]any, len(value))
		for _, member := range value {
			members[member.key] = plain(member.value)
		}
		return members
	case []any:
		for i := range value {
			value[i] = plain(value[i])
		}
	}
	return value
}

func unexpected(path string, value any, wanted string) error {
	found := "null"
	switch value.(type) {
	case object:
		found = "an object"
	case []any:
		found = "an array"
	case string:
		found = "a string"
	case number:
		found = "a number"
	case bool:
		found = "true or false"
	}
	return Wrong(path, "is "+found+", and must be "+wanted)
}

func child(path, key string) string { return path + "." + key }
