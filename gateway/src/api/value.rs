//! Values of spans as Tempo writes them.

use store::execute::traceql::Value;
use traceql::ast::{Field, Intrinsic, Key, Static, Whose};

use super::pb::{Any, AnyValue, ArrayValue, KeyValue, TagValue};
use super::time::go_text;

/// A name with its value.
pub(super) fn pair(key: impl Into<String>, value: AnyValue) -> KeyValue {
    KeyValue { key: key.into(), value: Some(value) }
}

/// A value that is text.
pub(super) fn text(text: impl Into<String>) -> AnyValue {
    AnyValue { value: Some(Any::Text(text.into())) }
}

/// A value: durations, status and kind are text, as in Tempo; so is what a span has not.
pub(super) fn one(value: &Static) -> AnyValue {
    let any = match value {
        Static::Nil => Any::Text("nil".to_owned()),
        Static::Bool(value) => Any::Bool(*value),
        Static::Int(value) => Any::Int(*value),
        Static::Float(value) => Any::Double(*value),
        Static::Duration(nanos) => Any::Text(go_text(*nanos)),
        Static::Text(text) => Any::Text(text.clone()),
        Static::Status(status) => Any::Text(status.name().to_owned()),
        Static::Kind(kind) => Any::Text(kind.name().to_owned()),
    };
    AnyValue { value: Some(any) }
}

/// A value of a span, which may be several.
pub(super) fn any(value: &Value) -> AnyValue {
    match value {
        Value::One(value) => one(value),
        Value::Many(values) => {
            let values = values.iter().map(one).collect();
            AnyValue { value: Some(Any::Array(ArrayValue { values })) }
        }
    }
}

/// A value with its type, for editors.
pub(super) fn typed(value: &Static) -> TagValue {
    let (of, value) = match value {
        Static::Nil => ("keyword", "nil".to_owned()),
        Static::Bool(value) => ("bool", value.to_string()),
        Static::Int(value) => ("int", value.to_string()),
        Static::Float(value) => ("float", value.to_string()),
        Static::Duration(nanos) => ("duration", go_text(*nanos)),
        Static::Text(text) => ("string", text.clone()),
        Static::Status(status) => ("keyword", status.name().to_owned()),
        Static::Kind(kind) => ("keyword", kind.name().to_owned()),
    };
    TagValue { r#type: of.to_owned(), value }
}

/// What a field of a span is called in an answer: attributes without their scope, as in Tempo.
/// Nothing for what the answer says elsewhere.
pub(super) fn label(field: &Field) -> Option<String> {
    use Intrinsic::{Duration, Name, RootName, RootServiceName, SpanId, TraceDuration, TraceId};
    match (&field.key, field.whose) {
        (
            Key::Intrinsic(
                Name | Duration | TraceDuration | RootName | RootServiceName | TraceId | SpanId,
            ),
            Whose::Own,
        ) => None,
        (Key::Attribute { name, .. }, Whose::Own) => Some(name.clone()),
        (Key::Attribute { name, .. }, Whose::Parent) => Some(format!("parent.{name}")),
        (Key::Intrinsic(_), _) => Some(field.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use traceql::ast::{Kind, Scope, Status};

    use super::*;

    #[test]
    fn values_have_tempos_types() {
        for (value, of, shown) in [
            (Static::Bool(true), "bool", "true"),
            (Static::Int(-3), "int", "-3"),
            (Static::Float(1.5), "float", "1.5"),
            (Static::Duration(1_500_000_000), "duration", "1.5s"),
            (Static::Text("a b".to_owned()), "string", "a b"),
            (Static::Status(Status::Error), "keyword", "error"),
            (Static::Kind(Kind::Server), "keyword", "server"),
        ] {
            let typed = typed(&value);
            assert_eq!((&*typed.r#type, &*typed.value), (of, shown));
        }
        assert_eq!(one(&Static::Nil), text("nil"));
        assert_eq!(one(&Static::Duration(2_000_000_000)), text("2s"));
        assert_eq!(one(&Static::Status(Status::Ok)), text("ok"));
        let many = any(&Value::Many(vec![Static::Int(1), Static::Text("x".to_owned())]));
        assert!(matches!(many.value, Some(Any::Array(array)) if array.values.len() == 2));
    }

    #[test]
    fn attributes_are_named_without_their_scope() {
        let named = |text: &str| label(&traceql::field(text).unwrap());
        assert_eq!(named("resource.service.name").as_deref(), Some("service.name"));
        assert_eq!(named(".a").as_deref(), Some("a"));
        assert_eq!(named("nestedSetParent").as_deref(), Some("nestedSetParent"));
        assert_eq!(named("span:status").as_deref(), Some("status"));
        assert_eq!(named("event:name").as_deref(), Some("event:name"));
        assert_eq!(named("parent.span.a").as_deref(), Some("parent.a"));
        for elsewhere in ["name", "duration", "trace:id", "rootServiceName", "traceDuration"] {
            assert_eq!(named(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(label(&Field::attribute(Scope::Event, "x.y")).as_deref(), Some("x.y"));
    }
}
