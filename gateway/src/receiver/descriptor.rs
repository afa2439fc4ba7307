//! The descriptors of the services that we implement, for gRPC reflection: one table of messages,
//! from which the descriptor set is built at start-up.
//!
//! Names and numbers are the OTLP contract (opentelemetry-proto 1.x); nothing else is taken from
//! there. A field is written `name number type`, with `*` before the type where it is repeated and
//! `?` before the name where it belongs to the message's one choice.

mod tempo;

use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumValueDescriptorProto, FieldDescriptorProto,
    FileDescriptorProto, FileDescriptorSet, MessageOptions, MethodDescriptorProto,
    OneofDescriptorProto, ServiceDescriptorProto,
};

use super::services::Serves;

struct File {
    path: &'static str,
    package: &'static str,
    imports: &'static [&'static str],
    messages: &'static [Message],
    service: Option<Service>,
}

struct Service {
    name: &'static str,
    /// Name, request, response of each.
    methods: &'static [[&'static str; 3]],
    /// Whether the responses are streams.
    is_streaming: bool,
}

struct Message {
    /// Dotted where it is nested in another message of the file, which comes first. One that ends
    /// in `Entry` is the pairs of a map.
    name: &'static str,
    choice: &'static str,
    fields: &'static [&'static str],
    enums: &'static [(&'static str, &'static [(&'static str, i32)])],
}

const fn message(name: &'static str, fields: &'static [&'static str]) -> Message {
    Message { name, choice: "", fields, enums: &[] }
}

const COMMON: &str = "opentelemetry/proto/common/v1/common.proto";
const RESOURCE: &str = "opentelemetry/proto/resource/v1/resource.proto";
const TRACE: &str = "opentelemetry/proto/trace/v1/trace.proto";
const SERVICE: &str = "opentelemetry/proto/collector/trace/v1/trace_service.proto";

const OTLP: [File; 4] = [
    File {
        path: COMMON,
        service: None,
        package: "opentelemetry.proto.common.v1",
        imports: &[],
        messages: &[
            Message {
                name: "AnyValue",
                choice: "value",
                fields: &[
                    "?string_value 1 string",
                    "?bool_value 2 bool",
                    "?int_value 3 int64",
                    "?double_value 4 double",
                    "?array_value 5 .opentelemetry.proto.common.v1.ArrayValue",
                    "?kvlist_value 6 .opentelemetry.proto.common.v1.KeyValueList",
                    "?bytes_value 7 bytes",
                ],
                enums: &[],
            },
            message("ArrayValue", &["values 1 *.opentelemetry.proto.common.v1.AnyValue"]),
            message("KeyValueList", &["values 1 *.opentelemetry.proto.common.v1.KeyValue"]),
            message(
                "KeyValue",
                &["key 1 string", "value 2 .opentelemetry.proto.common.v1.AnyValue"],
            ),
            message(
                "InstrumentationScope",
                &[
                    "name 1 string",
                    "version 2 string",
                    "attributes 3 *.opentelemetry.proto.common.v1.KeyValue",
                    "dropped_attributes_count 4 uint32",
                ],
            ),
            message(
                "EntityRef",
                &[
                    "schema_url 1 string",
                    "type 2 string",
                    "id_keys 3 *string",
                    "description_keys 4 *string",
                ],
            ),
        ],
    },
    File {
        path: RESOURCE,
        service: None,
        package: "opentelemetry.proto.resource.v1",
        imports: &[COMMON],
        messages: &[message(
            "Resource",
            &[
                "attributes 1 *.opentelemetry.proto.common.v1.KeyValue",
                "dropped_attributes_count 2 uint32",
                "entity_refs 3 *.opentelemetry.proto.common.v1.EntityRef",
            ],
        )],
    },
    File {
        path: TRACE,
        service: None,
        package: "opentelemetry.proto.trace.v1",
        imports: &[COMMON, RESOURCE],
        messages: &[
            message(
                "ResourceSpans",
                &[
                    "resource 1 .opentelemetry.proto.resource.v1.Resource",
                    "scope_spans 2 *.opentelemetry.proto.trace.v1.ScopeSpans",
                    "schema_url 3 string",
                ],
            ),
            message(
                "ScopeSpans",
                &[
                    "scope 1 .opentelemetry.proto.common.v1.InstrumentationScope",
                    "spans 2 *.opentelemetry.proto.trace.v1.Span",
                    "schema_url 3 string",
                ],
            ),
            Message {
                name: "Span",
                choice: "",
                fields: &[
                    "trace_id 1 bytes",
                    "span_id 2 bytes",
                    "trace_state 3 string",
                    "parent_span_id 4 bytes",
                    "name 5 string",
                    "kind 6 enum.opentelemetry.proto.trace.v1.Span.SpanKind",
                    "start_time_unix_nano 7 fixed64",
                    "end_time_unix_nano 8 fixed64",
                    "attributes 9 *.opentelemetry.proto.common.v1.KeyValue",
                    "dropped_attributes_count 10 uint32",
                    "events 11 *.opentelemetry.proto.trace.v1.Span.Event",
                    "dropped_events_count 12 uint32",
                    "links 13 *.opentelemetry.proto.trace.v1.Span.Link",
                    "dropped_links_count 14 uint32",
                    "status 15 .opentelemetry.proto.trace.v1.Status",
                    "flags 16 fixed32",
                ],
                enums: &[(
                    "SpanKind",
                    &[
                        ("SPAN_KIND_UNSPECIFIED", 0),
                        ("SPAN_KIND_INTERNAL", 1),
                        ("SPAN_KIND_SERVER", 2),
                        ("SPAN_KIND_CLIENT", 3),
                        ("SPAN_KIND_PRODUCER", 4),
                        ("SPAN_KIND_CONSUMER", 5),
                    ],
                )],
            },
            message(
                "Span.Event",
                &[
                    "time_unix_nano 1 fixed64",
                    "name 2 string",
                    "attributes 3 *.opentelemetry.proto.common.v1.KeyValue",
                    "dropped_attributes_count 4 uint32",
                ],
            ),
            message(
                "Span.Link",
                &[
                    "trace_id 1 bytes",
                    "span_id 2 bytes",
                    "trace_state 3 string",
                    "attributes 4 *.opentelemetry.proto.common.v1.KeyValue",
                    "dropped_attributes_count 5 uint32",
                    "flags 6 fixed32",
                ],
            ),
            Message {
                name: "Status",
                choice: "",
                fields: &[
                    "message 2 string",
                    "code 3 enum.opentelemetry.proto.trace.v1.Status.StatusCode",
                ],
                enums: &[(
                    "StatusCode",
                    &[("STATUS_CODE_UNSET", 0), ("STATUS_CODE_OK", 1), ("STATUS_CODE_ERROR", 2)],
                )],
            },
        ],
    },
    File {
        path: SERVICE,
        service: Some(Service {
            name: "TraceService",
            methods: &[["Export", "ExportTraceServiceRequest", "ExportTraceServiceResponse"]],
            is_streaming: false,
        }),
        package: "opentelemetry.proto.collector.trace.v1",
        imports: &[TRACE],
        messages: &[
            message(
                "ExportTraceServiceRequest",
                &["resource_spans 1 *.opentelemetry.proto.trace.v1.ResourceSpans"],
            ),
            message(
                "ExportTraceServiceResponse",
                &[
                    "partial_success 1 .opentelemetry.proto.collector.trace.v1.ExportTracePartialSuccess",
                ],
            ),
            message(
                "ExportTracePartialSuccess",
                &["rejected_spans 1 int64", "error_message 2 string"],
            ),
        ],
    },
];

/// The set that reflection serves on a port.
pub(super) fn set(serves: Serves) -> FileDescriptorSet {
    FileDescriptorSet { file: files(serves).map(file).collect() }
}

fn files(serves: Serves) -> impl Iterator<Item = &'static File> {
    static FILES: [File; 4] = OTLP;
    let queries = matches!(serves, Serves::SpansAndQueries).then_some(&tempo::FILE);
    FILES.iter().chain(queries)
}

fn file(file: &File) -> FileDescriptorProto {
    let mut built = FileDescriptorProto {
        name: Some(file.path.to_owned()),
        package: Some(file.package.to_owned()),
        dependency: file.imports.iter().map(|path| (*path).to_owned()).collect(),
        syntax: Some("proto3".to_owned()),
        ..FileDescriptorProto::default()
    };
    for message in file.messages {
        let descriptor = descriptor(message);
        let outer = message.name.split_once('.').map(|(outer, _)| outer);
        let same = |known: &&mut DescriptorProto| known.name.as_deref() == outer;
        match outer.and_then(|_| built.message_type.iter_mut().find(same)) {
            Some(outer) => outer.nested_type.push(descriptor),
            None => built.message_type.push(descriptor),
        }
    }
    built.service.extend(file.service.as_ref().map(|of| service(of, file.package)));
    built
}

fn service(service: &Service, package: &str) -> ServiceDescriptorProto {
    let method = |[name, input, output]: &[&str; 3]| MethodDescriptorProto {
        name: Some((*name).to_owned()),
        input_type: Some(format!(".{package}.{input}")),
        output_type: Some(format!(".{package}.{output}")),
        server_streaming: service.is_streaming.then_some(true),
        ..MethodDescriptorProto::default()
    };
    ServiceDescriptorProto {
        name: Some(service.name.to_owned()),
        method: service.methods.iter().map(method).collect(),
        ..ServiceDescriptorProto::default()
    }
}

fn descriptor(message: &Message) -> DescriptorProto {
    let name = message.name.rsplit('.').next().unwrap_or(message.name);
    let choice = OneofDescriptorProto {
        name: Some(message.choice.to_owned()),
        ..OneofDescriptorProto::default()
    };
    let map = MessageOptions { map_entry: Some(true), ..MessageOptions::default() };
    DescriptorProto {
        name: Some(name.to_owned()),
        options: name.ends_with("Entry").then_some(map),
        field: message.fields.iter().filter_map(|text| field(text)).collect(),
        enum_type: message.enums.iter().map(|(name, values)| enumeration(name, values)).collect(),
        oneof_decl: if message.choice.is_empty() { Vec::new() } else { vec![choice] },
        ..DescriptorProto::default()
    }
}

fn field(text: &str) -> Option<FieldDescriptorProto> {
    let mut words = text.split(' ');
    let (name, number, of) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    let (repeated, of) = of.strip_prefix('*').map_or((false, of), |of| (true, of));
    let (chosen, name) = name.strip_prefix('?').map_or((false, name), |name| (true, name));
    let (kind, named) = match of {
        "string" => (Type::String, None),
        "bytes" => (Type::Bytes, None),
        "bool" => (Type::Bool, None),
        "int64" => (Type::Int64, None),
        "uint32" => (Type::Uint32, None),
        "uint64" => (Type::Uint64, None),
        "double" => (Type::Double, None),
        "fixed32" => (Type::Fixed32, None),
        "fixed64" => (Type::Fixed64, None),
        of => match of.strip_prefix("enum") {
            Some(named) => (Type::Enum, Some(named)),
            None => (Type::Message, Some(of)),
        },
    };
    let label = if repeated { Label::Repeated } else { Label::Optional };
    Some(FieldDescriptorProto {
        name: Some(name.to_owned()),
        number: Some(number),
        label: Some(label as i32),
        r#type: Some(kind as i32),
        type_name: named.map(str::to_owned),
        oneof_index: chosen.then_some(0),
        ..FieldDescriptorProto::default()
    })
}

fn enumeration(name: &str, values: &[(&str, i32)]) -> EnumDescriptorProto {
    let value = |(name, number): &(&str, i32)| EnumValueDescriptorProto {
        name: Some((*name).to_owned()),
        number: Some(*number),
        ..EnumValueDescriptorProto::default()
    };
    EnumDescriptorProto {
        name: Some(name.to_owned()),
        value: values.iter().map(value).collect(),
        ..EnumDescriptorProto::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_and_every_named_type_is_there() {
        let set = set(Serves::SpansAndQueries);
        let mut known = Vec::new();
        let mut named = Vec::new();
        for (file, built) in files(Serves::SpansAndQueries).zip(&set.file) {
            let fields: usize = file.messages.iter().map(|message| message.fields.len()).sum();
            let mut all: Vec<_> =
                built.message_type.iter().map(|m| (file.package.to_owned(), m)).collect();
            let mut count = 0;
            while let Some((prefix, message)) = all.pop() {
                let name = format!("{prefix}.{}", message.name());
                count += message.field.len();
                named.extend(message.field.iter().filter_map(|field| field.type_name.clone()));
                known.extend(message.enum_type.iter().map(|e| format!(".{name}.{}", e.name())));
                known.push(format!(".{name}"));
                all.extend(message.nested_type.iter().map(|inner| (name.clone(), inner)));
            }
            assert_eq!(count, fields, "{}", file.path);
        }
        for name in named {
            assert!(known.contains(&name), "{name}");
        }
    }
}
