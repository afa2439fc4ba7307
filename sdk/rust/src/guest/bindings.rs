//! What wit-bindgen makes of the WIT: once of `base`, and once for each role of what its world has beyond that. The
//! descriptions of both lie in the component and are put together by whoever encodes it. Of the imports it keeps those
//! that it uses.
#![expect(clippy::mem_forget, missing_docs, reason = "made from the WIT, which documents it")]

pub mod base {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "traceweir:plugin/base",
        pub_export_macro: true,
        generate_all,
    });
}

pub mod processor {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world processor {
                import traceweir:plugin/clock@0.1.0;
                import traceweir:plugin/random@0.1.0;
                import traceweir:plugin/cache@0.1.0;
                export traceweir:plugin/span-processor@0.1.0;
            }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: { "traceweir:plugin/types@0.1.0": super::base::traceweir::plugin::types },
    });
}

pub mod head_sampler {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world head-sampler { export traceweir:plugin/head-sampler@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: { "traceweir:plugin/types@0.1.0": super::base::traceweir::plugin::types },
    });
}

pub mod tail_sampler {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world tail-sampler { export traceweir:plugin/tail-sampler@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: { "traceweir:plugin/types@0.1.0": super::base::traceweir::plugin::types },
    });
}

pub mod router {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world router { export traceweir:plugin/router@0.1.0; }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: { "traceweir:plugin/types@0.1.0": super::base::traceweir::plugin::types },
    });
}

pub mod authenticator {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world authenticator {
                import traceweir:plugin/clock@0.1.0;
                import traceweir:plugin/cache@0.1.0;
                export traceweir:plugin/authenticator@0.1.0;
            }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: {
            "traceweir:plugin/clock@0.1.0": super::processor::traceweir::plugin::clock,
            "traceweir:plugin/cache@0.1.0": super::processor::traceweir::plugin::cache,
        },
    });
}

pub mod refresher {
    wit_bindgen::generate!({
        inline: "package traceweir:sdk;
            world refresher {
                import traceweir:plugin/clock@0.1.0;
                import traceweir:plugin/fetch@0.1.0;
                export traceweir:plugin/refresher@0.1.0;
            }",
        path: "../../wit",
        pub_export_macro: true,
        generate_all,
        with: { "traceweir:plugin/clock@0.1.0": super::processor::traceweir::plugin::clock },
    });
}
