package traceweir

import "strconv"

// Error is a failure that the plugin has noticed itself. The host counts it, applies the attachment's on_failure
// to the batch, and calls the same instance again. Any other error that a plugin returns is one of kind
// [KindInternal].
type Error struct {
	Kind    ErrorKind
	Message string
}

// ErrorKind says what failed, numbered as in the WIT.
type ErrorKind uint8

const (
	// KindBadInput: the batch breaks a rule of the contract.
	KindBadInput ErrorKind = iota
	// KindNotReady: the plugin lacks something that it will have later, such as a table.
	KindNotReady
	// KindInternal: anything else.
	KindInternal
)

func (e *Error) Error() string { return e.Message }

// BadInput is an [Error] of [KindBadInput].
func BadInput(message string) error { return &Error{KindBadInput, message} }

// NotReady is an [Error] of [KindNotReady].
func NotReady(message string) error { return &Error{KindNotReady, message} }

// ConfigError says what is wrong with a configuration, and where: Path is the JSON path of the value, `$.keys[2]`.
type ConfigError struct {
	Path    string
	Message string
}

func (e *ConfigError) Error() string { return e.Path + ": " + e.Message }

func badSection(kind uint16, argument uint32, what string) error {
	return BadInput("section " + strconv.Itoa(int(kind)) + " of " + strconv.FormatUint(uint64(argument), 10) + ": " + what)
}
