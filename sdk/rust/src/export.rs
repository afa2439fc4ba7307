//! The macros that make a component of a plugin. Elsewhere than on Wasm they make nothing, so that the same source is
//! tested and measured natively.

/// Exports a type by the bindings of its world.
#[doc(hidden)]
#[macro_export]
macro_rules! __export {
    ($world:ident, $plugin:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            ::std::thread_local! {
                static INSTANCE: ::std::cell::RefCell<::std::option::Option<$plugin>> =
                    const { ::std::cell::RefCell::new(::std::option::Option::None) };
            }
            impl $crate::guest::Exported for $plugin {
                fn with<T>(what: impl FnOnce(&mut ::std::option::Option<Self>) -> T) -> T {
                    INSTANCE.with_borrow_mut(what)
                }
            }
            type Component = $crate::guest::Component<$plugin>;
            $crate::guest::bindings::base::export!(
                Component with_types_in $crate::guest::bindings::base
            );
            $crate::guest::bindings::$world::export!(
                Component with_types_in $crate::guest::bindings::$world
            );
        };
    };
}

/// Exports a [`Processor`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_processor {
    ($plugin:ty) => {
        $crate::__export!(processor, $plugin);
    };
}

/// Exports a [`HeadSampler`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_head_sampler {
    ($plugin:ty) => {
        $crate::__export!(head_sampler, $plugin);
    };
}

/// Exports a [`TailSampler`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_tail_sampler {
    ($plugin:ty) => {
        $crate::__export!(tail_sampler, $plugin);
    };
}

/// Exports a [`Router`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_router {
    ($plugin:ty) => {
        $crate::__export!(router, $plugin);
    };
}

/// Exports a [`Authenticator`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_authenticator {
    ($plugin:ty) => {
        $crate::__export!(authenticator, $plugin);
    };
}

/// Exports a [`Refresher`] as a component; natively it makes nothing.
#[macro_export]
macro_rules! export_refresher {
    ($plugin:ty) => {
        $crate::__export!(refresher, $plugin);
    };
}
