//! What the binary promises, asked of the binary: one program, real sockets, real files.
//!
//! Each file is one theme. Every wait polls with a deadline; a failure prints the gateway's log.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod api_contract;
mod api_diff;
mod api_metrics;
mod api_query;
mod api_search;
mod api_stream;
mod api_tags;
mod api_trace;
mod api_trace_forms;
mod block_cli;
mod command_line;
mod data_directory;
mod deploy;
mod drain;
mod drilldown;
mod durability;
mod full;
mod fuzz;
mod golden;
mod grpc_contract;
mod hostile;
mod http_contract;
mod json_bodies;
mod kills;
mod logs;
mod overload;
mod plugin_cli;
mod plugins;
mod ports;
mod query_cli;
mod redact;
mod refusals;
mod roundtrip;
mod tenancy;
mod tidy;
mod torn_log;
