module github.com/traceweir/traceweir/sdk/go

go 1.24
