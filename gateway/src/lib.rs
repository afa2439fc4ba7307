//! The traceweir process: everything that speaks to the network, the configuration, the command
//! line. What is durable and found lives in `store`.

pub mod api;
pub mod app;
pub mod attach;
pub mod auth;
pub mod budget;
pub mod cli;
pub mod clock;
pub mod compute;
pub mod config;
pub mod demo;
pub mod health;
pub mod limits;
pub mod log;
pub mod overrides;
pub mod receiver;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod watch;
pub mod web;
