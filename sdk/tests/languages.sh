# Which languages have their tools here. Sourced by what builds the guests of all SDKs: tests/prove/sdks, rows and templates.

skipped=()

# skip LANGUAGE WHY: said now, and again by `report_skipped`.
skip() {
  printf 'SKIPPED: %s as Wasm: %s\n' "$1" "$2" >&2
  skipped+=("$1")
}

report_skipped() {
  [ ${#skipped[@]} = 0 ] || printf '%d skipped: %s\n' "${#skipped[@]}" "${skipped[*]}" >&2
}

# has COMMAND...: whether all are there.
has() { command -v "$@" >/dev/null && [ "$(command -v "$@" | wc -l)" = $# ]; }

# can LANGUAGE: whether its tools are there or can be had. What then does not build is a failure.
can() {
  case $1 in
    rust) .ci/wasm-target >/dev/null 2>&1 || { skip "$1" "no standard library for wasm32-unknown-unknown"; return 1; } ;;
    go) sdk/go/tools/install >/dev/null 2>&1 || { skip "$1" "no Go of 1.24 or later"; return 1; } ;;
    c | zig) has python3 || has clang || has zig || { skip "$1" "no clang, no zig, no python3"; return 1; } ;;
    js | assemblyscript) has node npm || { skip "$1" "no node and npm"; return 1; } ;;
    python) has python3 || { skip "$1" "no python3"; return 1; } ;;
    *) printf 'no language %s\n' "$1" >&2; exit 2 ;;
  esac
}
