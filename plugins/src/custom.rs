//! Metrics of a plugin's own.

use std::sync::{Arc, Mutex, PoisonError};

use model::metric::Counter;

/// Most metrics of one plugin.
pub(crate) const METRICS_MAX: usize = 64;
/// Most bounds of a histogram.
const BOUNDS_MAX: usize = 64;
/// The longest name, and help.
const NAME_BYTES_MAX: usize = 100;
const HELP_BYTES_MAX: usize = 300;

/// What a plugin counts.
#[derive(Debug)]
pub struct Metric {
    /// Its name, without that of the plugin.
    pub name: String,
    /// What it means.
    pub help: String,
    /// What it is.
    pub value: Value,
}

/// What a metric holds.
#[derive(Debug)]
pub enum Value {
    /// It goes up.
    Counter(Counter),
    /// Observations, by size.
    Histogram {
        /// Upper bounds, ascending.
        bounds: Vec<f64>,
        /// Observations up to each bound, and above all.
        observed: Mutex<Observed>,
    },
}

impl Value {
    /// Observations up to each bound, and in all; of a counter nothing.
    #[must_use]
    pub fn cumulative(&self) -> Vec<u64> {
        let Self::Histogram { observed, .. } = self else { return Vec::new() };
        let counts = observed.lock().unwrap_or_else(PoisonError::into_inner).counts.clone();
        let add = |sum: &mut u64, count: u64| {
            *sum += count;
            Some(*sum)
        };
        counts.into_iter().scan(0, add).collect()
    }
}

/// Observations.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// How many, by bound; the last is above all.
    pub counts: Vec<u64>,
    /// Their sum.
    pub sum: f64,
}

/// All metrics of a plugin, whatever instance registered them.
#[derive(Debug, Default)]
pub(crate) struct Custom(Mutex<Vec<Arc<Metric>>>);

impl Custom {
    /// The place of a metric. The same name is the same metric, so that a new instance goes on with it.
    pub(crate) fn register(
        &self,
        name: &str,
        help: &str,
        bounds: Option<Vec<f64>>,
    ) -> Result<u32, String> {
        let named = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.bytes().all(named) {
            return Err(format!("metric {name:.100}: letters, digits and underscores only"));
        }
        let is_bound = |bounds: &Vec<f64>| {
            bounds.len() <= BOUNDS_MAX && bounds.is_sorted_by(|one, next| one < next)
        };
        if !bounds.as_ref().is_none_or(is_bound) {
            return Err(format!("metric {name}: bounds ascend, and are {BOUNDS_MAX} at most"));
        }
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.iter().zip(0u32..).find(|(metric, _)| metric.name == name);
        if let Some((metric, place)) = known {
            let is_same = match (&metric.value, &bounds) {
                (Value::Counter(_), None) => true,
                (Value::Histogram { bounds: was, .. }, Some(bounds)) => was == bounds,
                _ => false,
            };
            let differs = || format!("metric {name}: it is there, and is something else");
            return is_same.then_some(place).ok_or_else(differs);
        }
        let place = u32::try_from(all.len()).unwrap_or(u32::MAX);
        if all.len() >= METRICS_MAX {
            return Err(format!("metric {name}: more than {METRICS_MAX} of one plugin"));
        }
        let value = match bounds {
            None => Value::Counter(Counter::new()),
            Some(bounds) => {
                let counts = vec![0; bounds.len() + 1];
                Value::Histogram { bounds, observed: Mutex::new(Observed { counts, sum: 0.0 }) }
            }
        };
        let help = help.get(..help.floor_char_boundary(HELP_BYTES_MAX)).unwrap_or_default();
        all.push(Arc::new(Metric { name: name.to_owned(), help: help.to_owned(), value }));
        Ok(place)
    }

    /// Raises a counter; what is none stays.
    pub(crate) fn add(&self, place: u32, delta: u64) {
        if let Some(metric) = self.get(place)
            && let Value::Counter(counter) = &metric.value
        {
            counter.add(delta);
        }
    }

    /// Notes an observation.
    pub(crate) fn observe(&self, place: u32, value: f64) {
        if let Some(metric) = self.get(place)
            && let Value::Histogram { bounds, observed } = &metric.value
            && value.is_finite()
        {
            let at = bounds.partition_point(|bound| *bound < value);
            let mut observed = observed.lock().unwrap_or_else(PoisonError::into_inner);
            observed.sum += value;
            if let Some(count) = observed.counts.get_mut(at) {
                *count += 1;
            }
        }
    }

    fn get(&self, place: u32) -> Option<Arc<Metric>> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(place as usize).map(Arc::clone)
    }

    /// All of them, in the order that they were registered in.
    pub(crate) fn list(&self) -> Vec<Arc<Metric>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_the_same_metric() {
        let custom = Custom::default();
        let hits = custom.register("hits", "times", None).unwrap();
        let sizes = custom.register("sizes", "bytes", Some(vec![1.0, 10.0])).unwrap();
        assert_eq!(custom.register("hits", "again", None), Ok(hits));
        assert!(custom.register("hits", "", Some(vec![])).is_err());
        assert!(custom.register("a b", "", None).is_err());
        assert!(custom.register("c", "", Some(vec![2.0, 1.0])).is_err());
        custom.add(hits, 3);
        custom.add(sizes, 3);
        for value in [0.5, 1.0, 7.0, 100.0, f64::NAN] {
            custom.observe(sizes, value);
        }
        let all = custom.list();
        assert!(matches!(&all[0].value, Value::Counter(counter) if counter.get() == 3));
        let Value::Histogram { observed, .. } = &all[1].value else { panic!("no histogram") };
        assert_eq!(observed.lock().unwrap().counts, [2, 1, 1]);
        for number in all.len()..METRICS_MAX {
            custom.register(&format!("m{number}"), "", None).unwrap();
        }
        assert!(custom.register("more", "", None).is_err());
    }
}
