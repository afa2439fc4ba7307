//! Tables of files, as an operator changes them.

use std::fs;

use std::path::Path;

use super::*;

#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn now(&self) -> Nanos {
        Nanos::from_secs(1_800_000_000)
    }
    fn monotonic(&self) -> Nanos {
        Nanos::from_secs(1)
    }
}

fn keeper() -> (Keeper, Arc<Tables>) {
    let tables = Arc::<Tables>::default();
    (Keeper::new(Arc::clone(&tables), Arc::default(), Arc::new(Still), ""), tables)
}

fn file(path: &Path) -> Definition {
    Definition { file: path.display().to_string(), ..Definition::default() }
}

fn look(keeper: &Keeper) {
    keeper.kept.lock().unwrap().values_mut().for_each(Kept::look);
}

#[test]
fn a_file_that_is_wrong_leaves_the_table_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("teams.csv");
    fs::write(&path, "service,team\nshop,checkout\n").unwrap();
    let (keeper, tables) = keeper();
    keeper.apply(&Definitions::from([("teams".to_owned(), file(&path))]));
    let team = || tables.get("teams").unwrap().entries.get("shop").map(ToString::to_string);
    assert_eq!(team().as_deref(), Some("checkout"));
    let told = keeper.told().first().unwrap().clone();
    assert_eq!((told.state.fault(), keeper.age(&told.state)), (None, Some(Nanos(0))));
    let failures = |kind: &str| told.state.failures().find(|(of, _)| *of == kind).unwrap().1;
    fs::write(&path, "service,team\nshop\n").unwrap();
    look(&keeper);
    look(&keeper);
    assert_eq!(team().as_deref(), Some("checkout"));
    assert!(told.state.fault().unwrap().contains("teams.csv"), "{:?}", told.state.fault());
    assert_eq!(failures("malformed"), 1, "it is looked at once");
    fs::remove_file(&path).unwrap();
    look(&keeper);
    assert_eq!((team().as_deref(), failures("unavailable")), (Some("checkout"), 1));
    fs::write(&path, "service,team\nshop,payments\n").unwrap();
    look(&keeper);
    assert_eq!((team().as_deref(), told.state.fault()), (Some("payments"), None));
}

#[test]
fn a_table_that_is_not_defined_any_more_goes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    fs::write(&path, r#"{"a": "1"}"#).unwrap();
    let (keeper, tables) = keeper();
    let named = |name: &str| Definitions::from([(name.to_owned(), file(&path))]);
    keeper.apply(&named("a"));
    keeper.apply(&named("b"));
    assert!(tables.get("a").is_none() && tables.get("b").is_some());
}

#[test]
fn a_file_may_come_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.json");
    let (keeper, tables) = keeper();
    keeper.apply(&Definitions::from([("a".to_owned(), file(&path))]));
    assert!(tables.get("a").is_none());
    fs::write(&path, r#"{"a": "1"}"#).unwrap();
    look(&keeper);
    assert_eq!(tables.get("a").unwrap().entries.len(), 1);
}

#[test]
fn the_form_goes_by_the_name_if_nobody_says_otherwise() {
    let of =
        |file: &str, format| Definition { file: file.to_owned(), format, ..Definition::default() };
    assert_eq!(of("/a/b.CSV", None).format(), Format::Csv);
    assert_eq!(of("/a/b.yaml", None).format(), Format::Json);
    assert_eq!(of("/a/b.csv", Some(Format::Json)).format(), Format::Json);
    let url = Definition { url: "https://a.example/b.csv".to_owned(), ..Definition::default() };
    assert_eq!(url.format(), Format::Csv);
}
