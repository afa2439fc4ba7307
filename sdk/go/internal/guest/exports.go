//go:build wasm

package guest

import (
	"errors"
	"runtime"
	"unsafe"

	traceweir "github.com/traceweir/traceweir/sdk/go"
	"github.com/traceweir/traceweir/sdk/go/host/log"
	"github.com/traceweir/traceweir/sdk/go/internal/abi"
)

// Sizes of records and variants of the WIT, and where their parts lie, are those of the canonical ABI: each part at
// a multiple of its alignment, a string or list as address and length.

//go:wasmexport traceweir:plugin/lifecycle@0.1.0#describe
func describe() unsafe.Pointer {
	defer LogPanic()
	if registered == nil {
		panic("traceweir: no plugin is registered: an init function calls Register of the package of its world")
	}
	info := registered.info
	result := abi.NewRecord(36)
	result.Text(0, info.Name)
	result.Text(8, info.Version)
	result.Text(16, info.Description)
	result.Text(24, info.ConfigSchema)
	result.Bool(32, info.Stateless)
	return result.Address()
}

//go:wasmexport cabi_post_traceweir:plugin/lifecycle@0.1.0#describe
func describeRead(uint32) { abi.Release() }

//go:wasmexport traceweir:plugin/lifecycle@0.1.0#configure
func configure(config, size uint32) unsafe.Pointer {
	defer LogPanic()
	result := abi.NewRecord(40)
	projection, err := registered.configure(abi.Take(config, size))
	if err != nil {
		wrong := &traceweir.ConfigError{}
		if !errors.As(err, &wrong) {
			wrong = &traceweir.ConfigError{Path: "$", Message: err.Error()}
		}
		result.U8(0, 1)
		result.Text(4, wrong.Path)
		result.Text(12, wrong.Message)
		return result.Address()
	}
	putFields(result.List(4, len(projection.Reads), fieldSize), projection.Reads)
	putFields(result.List(12, len(projection.Writes), fieldSize), projection.Writes)
	putRules(result.List(20, len(projection.MatchResource), 16), projection.MatchResource)
	putBudgets(result.List(28, len(projection.Budgets), 48), projection.Budgets)
	result.U32(36, projection.MaxBatchRows)
	return result.Address()
}

//go:wasmexport cabi_post_traceweir:plugin/lifecycle@0.1.0#configure
func configureRead(uint32) { abi.Release() }

const fieldSize = 20

func putFields(list abi.Record, fields []traceweir.Field) {
	for i, field := range fields {
		at := list[i*fieldSize:]
		switch field := field.(type) {
		case traceweir.Intrinsic:
			at.U8(0, 0)
			at.U8(4, uint8(field)-1)
		case traceweir.Attribute:
			at.U8(0, 1)
			putAttribute(at[4:], field)
		case traceweir.Attributes:
			at.U8(0, 2)
			putAttribute(at[4:], traceweir.Attribute{Owner: field.Owner, Key: field.Prefix, Complex: field.Complex})
		}
	}
}

func putAttribute(at abi.Record, attribute traceweir.Attribute) {
	at.U8(0, uint8(attribute.Owner))
	at.Text(4, attribute.Key)
	at.Bool(12, attribute.Complex)
}

func putRules(list abi.Record, rules []traceweir.MatchRule) {
	for i, rule := range rules {
		list.Text(i*16, rule.Key)
		list.Texts(i*16+8, rule.AnyOf)
	}
}

func putBudgets(list abi.Record, budgets []traceweir.BudgetRule) {
	for i, budget := range budgets {
		at := list[i*48:]
		at.Text(0, budget.Name)
		if budget.Per != nil {
			at.U8(8, 1)
			putAttribute(at[12:], *budget.Per)
		}
		at.U64(32, budget.Limit)
		at.U32(40, budget.WindowMS)
	}
}

// Answer calls a plugin with a batch: its buffer, or the error, is the result.
func Answer(data, size uint32, call func(*traceweir.Batch) (*traceweir.Answer, error)) unsafe.Pointer {
	return Buffer(data, size, func(batch *traceweir.Batch) ([]byte, error) {
		answer, err := call(batch)
		if err != nil {
			return nil, err
		}
		return answer.Encode(), nil
	})
}

// Buffer is [Answer] for what is no answer in the sense of plugin-buffer.md.
func Buffer(data, size uint32, call func(*traceweir.Batch) ([]byte, error)) unsafe.Pointer {
	defer LogPanic()
	batch, err := Read(abi.Take(data, size))
	var buffer []byte
	if err == nil {
		buffer, err = call(batch)
	}
	result := abi.NewRecord(16)
	if err != nil {
		var known *traceweir.Error
		if !errors.As(err, &known) {
			known = &traceweir.Error{Kind: traceweir.KindInternal, Message: err.Error()}
		}
		result.U8(0, 1)
		result.U8(4, uint8(known.Kind))
		result.Text(8, known.Message)
		return result.Address()
	}
	result.Bytes(4, buffer)
	return result.Address()
}

// stackMax is how much of a stack is logged, in bytes.
const stackMax = 4096

// LogPanic is deferred by every export: what is not recovered ends the instance, and Go would say why to a standard
// error that nobody reads.
func LogPanic() {
	reason := recover()
	if reason == nil {
		return
	}
	text := "of a type that says nothing"
	switch reason := reason.(type) {
	case error:
		text = reason.Error()
	case string:
		text = reason
	case interface{ String() string }:
		text = reason.String()
	}
	stack := make([]byte, stackMax)
	stack = stack[:runtime.Stack(stack, false)]
	log.Error("panic: " + text + "\n" + string(stack))
	panic(reason)
}
