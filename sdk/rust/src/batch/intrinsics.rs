//! The columns that have a name, one function each.
#![expect(
    clippy::missing_errors_doc,
    reason = "all alike: bad input, where the batch has no such column"
)]

use super::Batch;
use crate::codes::batch as kind;
use crate::error::PluginError;
use crate::view::{Numbers, Texts};

impl<'a> Batch<'a> {
    /// The ids of the traces.
    pub fn trace_ids(&self) -> Result<&'a [[u8; 16]], PluginError> {
        self.id16s(kind::TRACE_ID, 0)
    }

    /// The ids of the spans.
    pub fn span_ids(&self) -> Result<&'a [[u8; 8]], PluginError> {
        self.id8s(kind::SPAN_ID, 0)
    }

    /// The ids of the parents; zeros for roots.
    pub fn parent_span_ids(&self) -> Result<&'a [[u8; 8]], PluginError> {
        self.id8s(kind::PARENT_SPAN_ID, 0)
    }

    /// The W3C tracestates.
    pub fn trace_states(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::TRACE_STATE, 0)
    }

    /// The W3C flags.
    pub fn trace_flags(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::TRACE_FLAGS, 0)
    }

    /// The names of the spans.
    pub fn names(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::NAME, 0)
    }

    /// The kinds of the spans, as OTLP numbers them.
    pub fn kinds(&self) -> Result<&'a [u8], PluginError> {
        self.u8s(kind::KIND, 0)
    }

    /// When the spans began, nanoseconds since 1970.
    pub fn start_times(&self) -> Result<Numbers<'a, u64>, PluginError> {
        self.u64s(kind::START_TIME, 0)
    }

    /// How long the spans took, nanoseconds.
    pub fn durations(&self) -> Result<Numbers<'a, u64>, PluginError> {
        self.u64s(kind::DURATION, 0)
    }

    /// 0 unset, 1 ok, 2 error.
    pub fn status_codes(&self) -> Result<&'a [u8], PluginError> {
        self.u8s(kind::STATUS_CODE, 0)
    }

    /// What the statuses say.
    pub fn status_messages(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::STATUS_MESSAGE, 0)
    }

    /// The name of each scope.
    pub fn scope_names(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::SCOPE_NAME, 0)
    }

    /// The version of each scope.
    pub fn scope_versions(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::SCOPE_VERSION, 0)
    }

    /// The name of each event.
    pub fn event_names(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::EVENT_NAME, 0)
    }

    /// When each event was, nanoseconds since 1970.
    pub fn event_times(&self) -> Result<Numbers<'a, u64>, PluginError> {
        self.u64s(kind::EVENT_TIME, 0)
    }

    /// How many events each span has.
    pub fn event_counts(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::EVENT_COUNT, 0)
    }

    /// How many links each span has.
    pub fn link_counts(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::LINK_COUNT, 0)
    }

    /// Which resource each span is of.
    pub fn resource_indices(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::RESOURCE_INDEX, 0)
    }

    /// Which scope each span is of.
    pub fn scope_indices(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::SCOPE_INDEX, 0)
    }

    /// Which span each event is of.
    pub fn event_spans(&self) -> Result<Numbers<'a, u32>, PluginError> {
        self.u32s(kind::EVENT_SPAN, 0)
    }

    /// The keys of all span attributes of the batch, each once.
    pub fn span_attribute_keys(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::SPAN_ATTRIBUTE_KEYS, 0)
    }

    /// Who sent each resource.
    pub fn peer_addresses(&self) -> Result<Texts<'a>, PluginError> {
        self.texts(kind::PEER_ADDRESS, 0)
    }
}
