# The same commands as ./dev, for who has `just`; ./dev needs nothing.

# Lists the recipes.
default:
    @just --list

# Builds and starts a gateway on loopback.
serve *FLAGS:
    ./dev serve {{FLAGS}}

# Runs every test: Rust, and real clients end to end.
test:
    ./dev test

# Checks format and lints.
lint:
    ./dev lint

# Checks licences, bans, sources and advisories of the dependencies.
deny:
    ./dev deny

# Builds for wasm32 what also runs in a browser.
wasm:
    ./dev wasm

# Runs one of the long proofs in tests/prove.
prove NAME *ARGS:
    ./dev prove {{NAME}} {{ARGS}}

# Runs the micro-benchmarks.
bench *ARGS:
    ./dev bench {{ARGS}}

# Everything that CI runs.
ci:
    bash .ci/run
