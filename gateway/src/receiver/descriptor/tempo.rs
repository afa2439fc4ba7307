//! The messages of `tempopb.StreamingQuerier`.
//!
//! Names and numbers are the wire contract of Grafana Tempo (`pkg/tempopb/tempo.proto`); nothing else
//! is taken from there, and what only Tempo's own parts tell each other is left out. Tempo has
//! `KeyValue` under a name of its own, which on the wire is the same.

use super::{COMMON, File, Message, Service, message};

pub(super) static FILE: File = File {
    path: "tempopb/tempo.proto",
    package: "tempopb",
    imports: &[COMMON],
    service: Some(Service {
        name: "StreamingQuerier",
        methods: &[
            ["Search", "SearchRequest", "SearchResponse"],
            ["SearchTags", "SearchTagsRequest", "SearchTagsResponse"],
            ["SearchTagsV2", "SearchTagsRequest", "SearchTagsV2Response"],
            ["SearchTagValues", "SearchTagValuesRequest", "SearchTagValuesResponse"],
            ["SearchTagValuesV2", "SearchTagValuesRequest", "SearchTagValuesV2Response"],
            ["MetricsQueryRange", "QueryRangeRequest", "QueryRangeResponse"],
            ["MetricsQueryInstant", "QueryInstantRequest", "QueryInstantResponse"],
        ],
        is_streaming: true,
    }),
    messages: &[
        message(
            "SearchRequest",
            &[
                "Tags 1 *.tempopb.SearchRequest.TagsEntry",
                "MinDurationMs 2 uint32",
                "MaxDurationMs 3 uint32",
                "Limit 4 uint32",
                "start 5 uint32",
                "end 6 uint32",
                "Query 8 string",
                "SpansPerSpanSet 9 uint32",
            ],
        ),
        message("SearchRequest.TagsEntry", &["key 1 string", "value 2 string"]),
        message(
            "SearchResponse",
            &["traces 1 *.tempopb.TraceSearchMetadata", "metrics 2 .tempopb.SearchMetrics"],
        ),
        message(
            "TraceSearchMetadata",
            &[
                "traceID 1 string",
                "rootServiceName 2 string",
                "rootTraceName 3 string",
                "startTimeUnixNano 4 uint64",
                "durationMs 5 uint32",
                "spanSet 6 .tempopb.SpanSet",
                "spanSets 7 *.tempopb.SpanSet",
                "serviceStats 8 *.tempopb.TraceSearchMetadata.ServiceStatsEntry",
            ],
        ),
        message(
            "TraceSearchMetadata.ServiceStatsEntry",
            &["key 1 string", "value 2 .tempopb.ServiceStats"],
        ),
        message("ServiceStats", &["spanCount 1 uint32", "errorCount 2 uint32"]),
        message(
            "SpanSet",
            &[
                "spans 1 *.tempopb.Span",
                "matched 2 uint32",
                "attributes 3 *.opentelemetry.proto.common.v1.KeyValue",
            ],
        ),
        message(
            "Span",
            &[
                "spanID 1 string",
                "name 2 string",
                "startTimeUnixNano 3 uint64",
                "durationNanos 4 uint64",
                "attributes 5 *.opentelemetry.proto.common.v1.KeyValue",
            ],
        ),
        message(
            "SearchMetrics",
            &[
                "inspectedTraces 1 uint32",
                "inspectedBytes 2 uint64",
                "completedJobs 4 uint32",
                "totalJobs 5 uint32",
                "inspectedSpans 7 uint64",
            ],
        ),
        message(
            "SearchTagsRequest",
            &[
                "scope 1 string",
                "query 2 string",
                "start 3 uint32",
                "end 4 uint32",
                "maxTagsPerScope 5 uint32",
            ],
        ),
        message(
            "SearchTagsResponse",
            &["tagNames 1 *string", "metrics 2 .tempopb.MetadataMetrics"],
        ),
        message(
            "SearchTagsV2Response",
            &["scopes 1 *.tempopb.SearchTagsV2Scope", "metrics 2 .tempopb.MetadataMetrics"],
        ),
        message("SearchTagsV2Scope", &["name 1 string", "tags 2 *string"]),
        message(
            "SearchTagValuesRequest",
            &[
                "tagName 1 string",
                "query 2 string",
                "start 4 uint32",
                "end 5 uint32",
                "maxTagValues 6 uint32",
            ],
        ),
        message(
            "SearchTagValuesResponse",
            &["tagValues 1 *string", "metrics 2 .tempopb.MetadataMetrics"],
        ),
        message(
            "SearchTagValuesV2Response",
            &["tagValues 1 *.tempopb.TagValue", "metrics 2 .tempopb.MetadataMetrics"],
        ),
        message("TagValue", &["type 1 string", "value 2 string"]),
        message(
            "MetadataMetrics",
            &["inspectedBytes 1 uint64", "totalJobs 2 uint32", "completedJobs 3 uint32"],
        ),
        message(
            "QueryRangeRequest",
            &[
                "query 1 string",
                "start 2 uint64",
                "end 3 uint64",
                "step 4 uint64",
                "exemplars 16 uint32",
                "maxSeries 17 uint32",
            ],
        ),
        // Tempo has the enumeration beside the message; on the wire and in JSON that is the same.
        Message {
            name: "QueryRangeResponse",
            choice: "",
            fields: &[
                "series 1 *.tempopb.TimeSeries",
                "metrics 2 .tempopb.SearchMetrics",
                "status 3 enum.tempopb.QueryRangeResponse.PartialStatus",
                "message 4 string",
            ],
            enums: &[("PartialStatus", &[("COMPLETE", 0), ("PARTIAL", 1)])],
        },
        message(
            "TimeSeries",
            &[
                "labels 1 *.opentelemetry.proto.common.v1.KeyValue",
                "samples 2 *.tempopb.Sample",
                "exemplars 4 *.tempopb.Exemplar",
            ],
        ),
        message("Sample", &["value 1 double", "timestamp_ms 2 int64"]),
        message(
            "Exemplar",
            &[
                "labels 1 *.opentelemetry.proto.common.v1.KeyValue",
                "value 2 double",
                "timestamp_ms 3 int64",
            ],
        ),
        message("QueryInstantRequest", &["query 1 string", "start 2 uint64", "end 3 uint64"]),
        message(
            "QueryInstantResponse",
            &[
                "series 1 *.tempopb.InstantSeries",
                "metrics 2 .tempopb.SearchMetrics",
                "status 3 enum.tempopb.QueryRangeResponse.PartialStatus",
                "message 4 string",
            ],
        ),
        message(
            "InstantSeries",
            &["labels 1 *.opentelemetry.proto.common.v1.KeyValue", "value 2 double"],
        ),
    ],
};
