//! The suites over the public API and the real binary, in one program.

mod tidy;
