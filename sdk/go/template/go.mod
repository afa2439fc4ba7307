module my-plugin

go 1.24

require github.com/traceweir/traceweir/sdk/go v0.1.0
