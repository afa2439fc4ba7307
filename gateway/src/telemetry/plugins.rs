//! Metrics of plugins. Labels are the names that operators give them, and the reasons that they give, of which
//! there are so many at most.

use plugins::{Configured, Size, Stats};

use super::emit::Emit;
use super::{Kind, Metric, Sources};
use crate::attach::tables::Told;

/// The rows of this family.
pub(super) const METRICS: &[Metric] = &[
    Metric {
        name: "traceweir_plugin_file_reloads_total",
        kind: Kind::Counter,
        help: "Times that a changed file of plugins was taken over.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.stats().reloads.get()),
    },
    Metric {
        name: "traceweir_plugin_file_reload_failed_total",
        kind: Kind::Counter,
        help: "Times that a changed file of plugins could not be used: what was before stays.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.stats().failed.get()),
    },
    Metric {
        name: "traceweir_plugin_taken_total",
        kind: Kind::Counter,
        help: "Plugins that were taken over, new or in another version.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().changes().taken.get()),
    },
    Metric {
        name: "traceweir_plugin_reload_failed_total",
        kind: Kind::Counter,
        help: "Plugins that were not taken over because something is wrong with them.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().changes().failed.get()),
    },
    Metric {
        name: "traceweir_plugin_polls_total",
        kind: Kind::Counter,
        help: "Times that a network was asked for a plugin.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().changes().polls.get()),
    },
    Metric {
        name: "traceweir_plugin_poll_failed_total",
        kind: Kind::Counter,
        help: "Times that nobody answered who was asked for a plugin: what was before stays.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().changes().poll_failed.get()),
    },
    Metric {
        name: "traceweir_plugin_kept_taken_total",
        kind: Kind::Counter,
        help: "Plugins that were taken over as they had been kept: pinned, or their source did not give them.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().changes().kept.get()),
    },
    Metric {
        name: "traceweir_plugin_missing_total",
        kind: Kind::Counter,
        help: "Requests that were told to come back because their chain names a plugin that does not run.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.stats().missing.get()),
    },
    Metric {
        name: "traceweir_plugin_captured_total",
        kind: Kind::Counter,
        help: "Requests that were kept, masked, because somebody had asked for some.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().orders().taken.get()),
    },
    Metric {
        name: "traceweir_plugin_compiled_total",
        kind: Kind::Counter,
        help: "Plugins that had to be compiled.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().codes().compiled.get()),
    },
    Metric {
        name: "traceweir_plugin_code_loaded_total",
        kind: Kind::Counter,
        help: "Plugins whose compiled code was there.",
        labels: &[],
        read: |sources, emit| emit.value(sources.plugins.registry().codes().loaded.get()),
    },
    Metric {
        name: "traceweir_plugin_calls_total",
        kind: Kind::Counter,
        help: "Calls with a batch.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.calls.get()),
    },
    Metric {
        name: "traceweir_plugin_guest_nanoseconds_total",
        kind: Kind::Counter,
        help: "Nanoseconds in plugins.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.guest_nanos.get()),
    },
    Metric {
        name: "traceweir_plugin_rows_in_total",
        kind: Kind::Counter,
        help: "Spans that were passed.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.rows_in.get()),
    },
    Metric {
        name: "traceweir_plugin_rows_out_total",
        kind: Kind::Counter,
        help: "Spans that were left.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.rows_out.get()),
    },
    Metric {
        name: "traceweir_plugin_edits_total",
        kind: Kind::Counter,
        help: "Edits that were applied.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.edits.get()),
    },
    Metric {
        name: "traceweir_plugin_batch_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of batches.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.bytes_in.get()),
    },
    Metric {
        name: "traceweir_plugin_answer_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of answers.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.bytes_out.get()),
    },
    Metric {
        name: "traceweir_plugin_passed_total",
        kind: Kind::Counter,
        help: "Batches that went on without the plugin, which had failed.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.passed.get()),
    },
    Metric {
        name: "traceweir_plugin_dropped_total",
        kind: Kind::Counter,
        help: "Batches that were dropped because the plugin had failed.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.dropped.get()),
    },
    Metric {
        name: "traceweir_plugin_rejected_total",
        kind: Kind::Counter,
        help: "Batches whose request was refused because the plugin had failed.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.rejected.get()),
    },
    Metric {
        name: "traceweir_plugin_opened_total",
        kind: Kind::Counter,
        help: "Times that a breaker opened.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.opened.get()),
    },
    Metric {
        name: "traceweir_plugin_instances_made_total",
        kind: Kind::Counter,
        help: "Instances that were made.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.instances_made.get()),
    },
    Metric {
        name: "traceweir_plugin_instances",
        kind: Kind::Gauge,
        help: "Instances that there are.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.instances.get()),
    },
    Metric {
        name: "traceweir_plugin_memory_bytes",
        kind: Kind::Gauge,
        help: "Bytes of memory of all instances.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.memory_bytes.get()),
    },
    Metric {
        name: "traceweir_plugin_cache_bytes",
        kind: Kind::Gauge,
        help: "Bytes that the plugin remembers.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.cache_bytes.get()),
    },
    Metric {
        name: "traceweir_plugin_log_lines_dropped_total",
        kind: Kind::Counter,
        help: "Lines of the plugin's log that were too many.",
        labels: &["plugin"],
        read: |sources, emit| each(sources, emit, |stats| stats.lines_dropped.get()),
    },
    Metric {
        name: "traceweir_plugin_call_seconds",
        kind: Kind::Histogram,
        help: "How long calls took, making the batch and applying the answer included.",
        labels: &["plugin"],
        read: |sources, emit| {
            of_each(sources, |name, configured| emit.histogram(&[name], &configured.stats().time));
        },
    },
    Metric {
        name: "traceweir_plugin_failures_total",
        kind: Kind::Counter,
        help: "Calls that failed, by how.",
        labels: &["plugin", "failure"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                for (failure, count) in configured.stats().failures() {
                    emit.labelled(&[name, failure], count);
                }
            });
        },
    },
    Metric {
        name: "traceweir_plugin_dropped_spans_total",
        kind: Kind::Counter,
        help: "Spans that were dropped, by why.",
        labels: &["plugin", "reason"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                for (reason, count) in configured.stats().drops() {
                    emit.labelled(&[name, &reason], count);
                }
            });
        },
    },
    Metric {
        name: "traceweir_plugin_tenants_open",
        kind: Kind::Gauge,
        help: "Tenants for which the plugin is not called because it has failed.",
        labels: &["plugin"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                emit.labelled(&[name], configured.breakers().1.len());
            });
        },
    },
    Metric {
        name: "traceweir_plugin_info",
        kind: Kind::Gauge,
        help: "1 for each plugin that runs, with what it was loaded from.",
        labels: &["plugin", "version", "digest"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                let (info, digest) = (configured.plugin().info(), configured.plugin().digest());
                emit.labelled(&[name, &info.version, &digest.to_string()], 1);
            });
        },
    },
    Metric {
        name: "traceweir_plugin_custom_total",
        kind: Kind::Counter,
        help: "What plugins count themselves.",
        labels: &["plugin", "metric"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                for metric in configured.metrics() {
                    if let plugins::MetricValue::Counter(counter) = &metric.value {
                        emit.labelled(&[name, &metric.name], counter.get());
                    }
                }
            });
        },
    },
    Metric {
        name: "traceweir_plugin_custom_observed_total",
        kind: Kind::Counter,
        help: "What plugins observe themselves: how many up to each bound, as a histogram has it.",
        labels: &["plugin", "metric", "le"],
        read: |sources, emit| {
            of_each(sources, |name, configured| {
                for metric in configured.metrics() {
                    let plugins::MetricValue::Histogram { bounds, .. } = &metric.value else {
                        continue;
                    };
                    let ends = bounds.iter().map(ToString::to_string).chain(["+Inf".to_owned()]);
                    for (end, count) in ends.zip(metric.value.cumulative()) {
                        emit.labelled(&[name, &metric.name, &end], count);
                    }
                }
            });
        },
    },
    Metric {
        name: "traceweir_plugin_table_entries",
        kind: Kind::Gauge,
        help: "Entries of the tables that plugins look things up in.",
        labels: &["table"],
        read: |sources, emit| each_size(sources, emit, |size| size.entries as u64),
    },
    Metric {
        name: "traceweir_plugin_table_bytes",
        kind: Kind::Gauge,
        help: "Bytes of tables, about.",
        labels: &["table"],
        read: |sources, emit| each_size(sources, emit, |size| size.bytes as u64),
    },
    Metric {
        name: "traceweir_plugin_table_generation",
        kind: Kind::Gauge,
        help: "Goes up when a table changes.",
        labels: &["table"],
        read: |sources, emit| each_size(sources, emit, |size| size.generation),
    },
    Metric {
        name: "traceweir_plugin_table_age_seconds",
        kind: Kind::Gauge,
        help: "Seconds since a table was known to be as its source is.",
        labels: &["table"],
        read: |sources, emit| {
            let keeper = sources.plugins.keeper();
            for Told { name, state, .. } in keeper.told().iter() {
                if let Some(age) = keeper.age(state) {
                    emit.labelled(&[name], age.0 / 1_000_000_000);
                }
            }
        },
    },
    Metric {
        name: "traceweir_plugin_table_refreshes_total",
        kind: Kind::Counter,
        help: "Times that the source of a table has told what it has, or that it is the same.",
        labels: &["table"],
        read: |sources, emit| {
            for Told { name, state, .. } in sources.plugins.keeper().told().iter() {
                emit.labelled(&[name], state.refreshes.get());
            }
        },
    },
    Metric {
        name: "traceweir_plugin_table_refresh_failed_total",
        kind: Kind::Counter,
        help: "Times that a table could not be refreshed, by how: what was before stays.",
        labels: &["table", "failure"],
        read: |sources, emit| {
            for Told { name, state, .. } in sources.plugins.keeper().told().iter() {
                for (failure, count) in state.failures() {
                    emit.labelled(&[name, failure], count);
                }
            }
        },
    },
];

fn each_size(sources: &Sources, emit: &mut Emit, read: fn(&Size) -> u64) {
    for size in sources.plugins.registry().surroundings().tables.list() {
        emit.labelled(&[&size.name], read(&size));
    }
}

fn of_each(sources: &Sources, mut tell: impl FnMut(&str, &Configured)) {
    for (name, entry) in sources.plugins.registry().entries().iter() {
        tell(name, &entry.configured);
    }
}

fn each(sources: &Sources, emit: &mut Emit, read: fn(&Stats) -> u64) {
    of_each(sources, |name, configured| emit.labelled(&[name], read(configured.stats())));
}
