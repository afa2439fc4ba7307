//! What series can be made of, and what can be done to them.

use super::Check;
use crate::Place;
use crate::ast::{Compare, Field, MetricsExpr, MetricsFunction, MetricsQuery, Second, Type};
use crate::error::Fault;

impl Check {
    pub(super) fn metrics(&mut self, metrics: &MetricsExpr) -> Result<(), Fault> {
        match metrics {
            MetricsExpr::Query(query) => self.metrics_query(query),
            MetricsExpr::Scalar(..) => Ok(()),
            MetricsExpr::Arithmetic { lhs, rhs, .. } => {
                self.metrics(lhs)?;
                self.metrics(rhs)?;
                [lhs, rhs].into_iter().try_for_each(|side| no_compare(side))
            }
            MetricsExpr::Second { of, stages } => {
                self.metrics(of)?;
                stages.iter().try_for_each(|_: &Second| no_compare(of))
            }
        }
    }

    fn metrics_query(&mut self, query: &MetricsQuery) -> Result<(), Fault> {
        self.pipeline(&query.pipeline)?;
        query.by.iter().try_for_each(|field| valued(field, query.place))?;
        match &query.function {
            MetricsFunction::Rate | MetricsFunction::Count => Ok(()),
            MetricsFunction::Over(_, field) | MetricsFunction::Histogram(field) => {
                number(field, query.place)
            }
            MetricsFunction::Quantile(field, quantiles) => {
                number(field, query.place)?;
                quantiles.iter().try_for_each(|value| quantile(*value, query, field))
            }
            MetricsFunction::Compare(compare) if query.by.is_empty() => {
                self.compare(compare, query)
            }
            MetricsFunction::Compare(_) => {
                Err(Fault::meaning(query.place, "no `by`: `compare` groups by all attributes"))
            }
        }
    }

    fn compare(&mut self, compare: &Compare, query: &MetricsQuery) -> Result<(), Fault> {
        if let Some(selection) = &compare.selection {
            self.condition(selection)?;
        }
        match compare.during {
            Some((from, to)) if from > to => {
                Err(Fault::meaning(query.place, "a selection that starts before it ends"))
            }
            _ => Ok(()),
        }
    }
}

/// `compare` answers with counts of many attributes, with which nothing can be computed.
fn no_compare(metrics: &MetricsExpr) -> Result<(), Fault> {
    match metrics {
        MetricsExpr::Query(MetricsQuery {
            function: MetricsFunction::Compare(_), place, ..
        }) => Err(Fault::meaning(*place, "`compare` alone: nothing can be done with its series")),
        _ => Ok(()),
    }
}

fn valued(field: &Field, place: Place) -> Result<(), Fault> {
    match field.of() {
        Type::Span => {
            Err(Fault::meaning(place, format!("something that has a value: `{field}` has none")))
        }
        _ => Ok(()),
    }
}

fn number(field: &Field, place: Place) -> Result<(), Fault> {
    let of = field.of();
    if of == Type::Any || of.is_number() {
        return Ok(());
    }
    let expected = format!("a field with numbers, such as `duration`: `{field}` is {}", of.name());
    Err(Fault::meaning(place, expected))
}

fn quantile(value: f64, query: &MetricsQuery, field: &Field) -> Result<(), Fault> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    let fault = Fault::meaning(query.place, "quantiles from 0 to 1");
    let MetricsFunction::Quantile(_, all) = &query.function else { return Err(fault) };
    // 99 was meant as a percentile.
    if !all.iter().all(|value| (0.0..=100.0).contains(value)) {
        return Err(fault);
    }
    let shares = all.iter().map(|value| if *value > 1.0 { value / 100.0 } else { *value });
    let meant = MetricsFunction::Quantile(field.clone(), shares.collect());
    let by: Vec<String> = query.by.iter().map(ToString::to_string).collect();
    let by = if by.is_empty() { String::new() } else { format!(" by({})", by.join(", ")) };
    Err(fault.replace(format!("{meant}{by}")))
}
