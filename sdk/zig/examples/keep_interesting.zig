//! A head sampler: keeps what failed, what was slow, and a share of the rest. All spans that a batch has of a trace
//! share their fate.

const tw = @import("traceweir");

var slow_nano: u64 = 0;
var ratio: f64 = 0;

fn text(comptime literal: []const u8) tw.tw_str {
    return .{ .at = literal.ptr, .len = literal.len };
}

export fn tw_describe(info: *tw.tw_info) void {
    info.name = text("keep-interesting");
    info.version = text("0.1.0");
    info.description = text("keeps traces with errors, slow ones, and a share of the rest");
    info.config_schema = text(
        \\{"type": "object", "properties": {
        \\"slow_ms": {"type": "integer", "minimum": 0, "maximum": 4294967295},
        \\"ratio": {"type": "number", "minimum": 0, "maximum": 1}},
        \\"additionalProperties": false}
    );
    info.stateless = true;
}

export fn tw_configure(config: tw.tw_str, projection: *tw.tw_projection, err: *tw.tw_config_error) bool {
    var slow_ms: u64 = 500;
    ratio = 0.1;
    var json: tw.tw_json = undefined;
    var key: tw.tw_str = undefined;
    tw.tw_json_begin(&json, config, err);
    tw.tw_json_object(&json);
    while (tw.tw_json_key(&json, &key)) {
        if (tw.tw_equal(key, text("slow_ms"))) {
            slow_ms = tw.tw_json_uint(&json, 0xffffffff);
        } else if (tw.tw_equal(key, text("ratio"))) {
            ratio = tw.tw_json_double(&json);
            if (!(ratio >= 0 and ratio <= 1)) tw.tw_json_wrong(&json, text("must be from 0 to 1"));
        } else {
            tw.tw_json_unknown(&json);
        }
    }
    slow_nano = slow_ms * 1_000_000;
    _ = tw.tw_read(projection, tw.tw_intrinsic(tw.TW_BATCH_TRACE_ID));
    _ = tw.tw_read(projection, tw.tw_intrinsic(tw.TW_BATCH_DURATION));
    _ = tw.tw_read(projection, tw.tw_intrinsic(tw.TW_BATCH_STATUS_CODE));
    return tw.tw_json_end(&json);
}

/// Why a trace is kept, from the weakest reason to the strongest.
const Why = enum(u8) { ratio, slow, failed };

export fn tw_sample(batch: *const tw.tw_batch, _: *tw.tw_error) ?*tw.tw_answer {
    const traces = tw.tw_trace_groups(batch);
    const durations = tw.tw_durations(batch);
    const statuses = tw.tw_status_codes(batch);
    const whys: [*]Why = @ptrCast(tw.tw_alloc(traces.count).?);
    for (0..batch.rows) |i| {
        const row: u32 = @intCast(i);
        const why: Why = if (tw.tw_u8_at(statuses, row) == tw.TW_STATUS_ERROR)
            .failed
        else if (tw.tw_u64_at(durations, row) >= slow_nano)
            .slow
        else
            .ratio;
        const of = &whys[traces.of[row]];
        if (@intFromEnum(of.*) < @intFromEnum(why)) of.* = why;
    }
    const answer = tw.tw_decisions(batch);
    for (0..batch.rows) |i| {
        const row: u32 = @intCast(i);
        switch (whys[traces.of[row]]) {
            .failed => tw.tw_verdict(answer, row, tw.TW_VERDICT_KEEP, 0, text("error")),
            .slow => tw.tw_verdict(answer, row, tw.TW_VERDICT_KEEP, 0, text("slow")),
            .ratio => tw.tw_verdict(answer, row, tw.TW_VERDICT_PROBABILITY, ratio, text("ratio")),
        }
    }
    return answer;
}
