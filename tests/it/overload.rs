//! Far more is sent than may be: who keeps to the limits is not refused, and who does not is told when to come back.
//! The long form is `./dev prove overload`.

use std::process::Command;

use serde_json::Value;
use tests::gateway::binary;

/// Runs `load overload` for some seconds; a row for each of its measurements.
fn measured() -> Vec<Value> {
    let scratch = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["overload", "--seconds", "3", "--rate", "4000", "--tenants", "12"])
        .args(["--each", "200", "--hog", "40", "--batch", "50", "--binary"])
        .arg(binary().get_program())
        .arg("--scratch")
        .arg(scratch.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    let rows = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    rows.map(|line| serde_json::from_slice(line).unwrap()).collect()
}

#[test]
fn whoever_keeps_to_the_limits_is_not_refused_because_of_others() {
    let rows = measured();
    let row = |name: &str| {
        let found = rows.iter().find(|row| row["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {rows:?}"))
    };
    let number = |name: &str, key: &str| row(name)[key].as_f64().unwrap();
    for name in ["idle", "quiet", "limited", "unlimited"] {
        assert!(number(name, "requests_refused") + number(name, "failed") == 0.0, "{rows:?}");
    }
    // Ten times the rate: as much as the rate goes through, and each other request is told when to come back.
    let overload = row("overload");
    assert!(number("overload", "accepted_per_s") < 4_000.0 * 1.2, "{overload}");
    assert!(number("overload", "requests_refused") > 0.0, "{overload}");
    assert_eq!(overload["hinted"], overload["requests_refused"], "{overload}");
    assert!(number("overload", "failed") == 0.0, "{overload}");
    // One of twelve sends forty times as much, and gets twice as much.
    let limited = row("limited");
    assert!(number("limited", "hog_refused") > 0.0, "{limited}");
    assert_eq!(limited["hog_hinted"], limited["hog_refused"], "{limited}");
    assert!(number("limited", "jain") > 0.9, "{limited}");
}
