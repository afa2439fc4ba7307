// The SDK, in one file to compile: see traceweir_plugin.h.
#include "src/memory.c"

#include "src/text.c"

#include "src/projection.c"

#include "src/batch.c"

#include "src/answer.c"

#include "src/json.c"

#ifdef __wasm__
#include "src/host.c"

#include "src/exports.c"
#endif
