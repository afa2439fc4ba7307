//! `traceweir query tags`: names of attributes, or the values of one.

use super::search::line;
use super::server::{Server, escaped, path};
use crate::api::pb::{SearchTagValuesV2Response, SearchTagsV2Response};
use crate::cli::table::Table;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  traceweir query tags
  traceweir query tags --scope resource
  traceweir query tags span.http.route
  traceweir query tags span.http.route --query '{ resource.service.name = \"shop\" }'

Exit codes:
  0  they are printed; there may be none
  1  there is no such name, or no server answers
  2  wrong usage")]
pub(super) struct Args {
    /// The values of this: `span.http.route`, `name`; the names if it is not given
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Names of one scope: span, resource, event, link, instrumentation or intrinsic
    #[arg(long, value_name = "SCOPE", conflicts_with = "name")]
    scope: Option<String>,
    /// Only of spans that match, in TraceQL
    #[arg(long, value_name = "QUERY")]
    query: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    limit: u32,
    /// Print what the server answers
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: Server,
}

/// What to print.
///
/// # Errors
/// Says why there is nothing.
pub(super) fn run(args: &Args) -> Result<String, String> {
    let at = match &args.name {
        None => "/api/v2/search/tags".to_owned(),
        Some(name) => format!("/api/v2/search/tag/{}/values", escaped(name)),
    };
    let parameters = [
        ("scope", args.scope.clone()),
        ("q", args.query.clone()),
        ("limit", Some(args.limit.to_string())),
    ];
    let path = path(&at, &parameters);
    if args.json {
        return args.server.json(&path);
    }
    Ok(match &args.name {
        None => names(&args.server.message(&path)?),
        Some(_) => values(&args.server.message(&path)?),
    })
}

fn names(found: &SearchTagsV2Response) -> String {
    let mut table = Table::new(&["SCOPE", "NAME"]);
    for scope in &found.scopes {
        for tag in &scope.tags {
            table.row(vec![line(&scope.name), line(tag)]);
        }
    }
    table.text()
}

fn values(found: &SearchTagValuesV2Response) -> String {
    let mut table = Table::new(&["TYPE", "VALUE"]);
    for value in &found.tag_values {
        table.row(vec![line(&value.r#type), line(&value.value)]);
    }
    table.text()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::pb::{TagScope, TagValue};

    #[test]
    fn names_and_values_are_tables() {
        let scope = TagScope { name: "span".to_owned(), tags: vec!["http.route".to_owned()] };
        let found = SearchTagsV2Response { scopes: vec![scope], metrics: None };
        assert_eq!(names(&found), "SCOPE  NAME\nspan   http.route\n");
        let value = TagValue { r#type: "string".to_owned(), value: "a\nb".to_owned() };
        let found = SearchTagValuesV2Response { tag_values: vec![value], metrics: None };
        assert_eq!(values(&found), "TYPE    VALUE\nstring  a b\n");
    }
}
