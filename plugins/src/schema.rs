//! A plugin's configuration against its own JSON Schema, before the plugin sees it.

use jsonschema::PatternOptions;
use serde_json::Value;

use crate::error::{Error, Kind};

/// Faults that are told at once.
const FAULTS_MAX: usize = 10;

/// Holds a configuration against a schema; every fault with its path.
///
/// # Errors
/// [`Kind::Config`] where the configuration is wrong, [`Kind::NotOurs`] where the schema is none.
pub(crate) fn check(schema: &str, config: &Value) -> Result<(), Error> {
    if schema.is_empty() {
        return Ok(());
    }
    let not_ours = |fault: &dyn std::fmt::Display| {
        Error::new(Kind::NotOurs, format!("describe: config-schema: {fault:.500}"))
    };
    let schema: Value = serde_json::from_str(schema).map_err(|fault| not_ours(&fault))?;
    let validator = jsonschema::options()
        // In linear time: schemas come from strangers.
        .with_pattern_options(PatternOptions::regex())
        .build(&schema)
        .map_err(|fault| not_ours(&fault))?;
    let faults = validator.iter_errors(config).take(FAULTS_MAX);
    let faults: Vec<String> = faults
        .map(|fault| format!("{}: {fault:.300}", path(&fault.instance_path().to_string())))
        .collect();
    if faults.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Config, faults.join("; ")))
}

/// A JSON pointer as a JSON path: `/keys/2` is `$.keys[2]`.
fn path(pointer: &str) -> String {
    let mut path = "$".to_owned();
    for part in pointer.split('/').skip(1) {
        let part = part.replace("~1", "/").replace("~0", "~");
        if part.parse::<usize>().is_ok() {
            path.extend(["[", &part, "]"]);
        } else {
            path.extend([".", &part]);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SCHEMA: &str = r#"{
        "type": "object", "additionalProperties": false,
        "properties": {"ratio": {"type": "number", "maximum": 1}, "keys": {"items": {"type": "string"}}}
    }"#;

    #[test]
    fn faults_name_their_path() {
        assert_eq!(check(SCHEMA, &json!({"ratio": 0.5, "keys": ["a"]})), Ok(()));
        assert_eq!(check("", &json!(7)), Ok(()));
        let fault = |config: Value| check(SCHEMA, &config).unwrap_err().to_string();
        assert!(
            fault(json!({"ratio": 2})).starts_with("$.ratio: "),
            "{}",
            fault(json!({"ratio": 2}))
        );
        assert!(fault(json!({"keys": ["a", 1]})).starts_with("$.keys[1]: "));
        assert!(fault(json!({"rate": 2})).contains("'rate'"), "{}", fault(json!({"rate": 2})));
        assert_eq!(check("{", &json!({})).unwrap_err().kind(), Kind::NotOurs);
        assert_eq!(check(r#"{"type": 7}"#, &json!({})).unwrap_err().kind(), Kind::NotOurs);
    }

    #[test]
    fn nothing_is_fetched_for_a_schema() {
        let schema = r#"{"$ref": "http://127.0.0.1:1/schema.json"}"#;
        assert_eq!(check(schema, &json!({})).unwrap_err().kind(), Kind::NotOurs);
    }
}
