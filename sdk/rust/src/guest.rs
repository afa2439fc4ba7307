//! A plugin as a component: the functions that the host calls, and those of the host that it calls. What wit-bindgen
//! makes of the WIT becomes the SDK's own types here, which plugins have natively, too.
//!
//! An instance serves one call at a time: what `configure` has made lies in a cell of the plugin's crate.

pub mod bindings;
mod exports;
pub(crate) mod imports;

use std::marker::PhantomData;

/// A plugin that a macro has exported.
pub trait Exported: Sized {
    /// Does something with the instance, which is there after `configure`.
    fn with<T>(what: impl FnOnce(&mut Option<Self>) -> T) -> T;
}

/// What has the functions of the component.
#[derive(Debug)]
pub struct Component<P>(PhantomData<P>);
