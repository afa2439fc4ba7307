/**
 * Plugins for Traceweir in JavaScript and TypeScript: typed views over batches, answers in their one form. The kit to
 * test them with is `@traceweir/plugin/kit`; types and words are in `index.d.ts`.
 * @module
 */

export { DROP, Decisions, Edits, KEEP, probability } from './answer.js';
export { Batch } from './batch.js';
export { BudgetView, Column, Pairs, Traces } from './columns.js';
export { Config } from './config.js';
export { BadInput, ConfigError, Denied, Internal, NotReady, PluginError } from './errors.js';
export { FetchError, cache, clock, fetch, log, metrics, random, tables } from './host.js';
export {
  Authenticator, HeadSampler, Instance, Plugin, Processor, Refresher, Router, TailSampler, exportsOf,
} from './plugin.js';
export { Intrinsic, Owner, Projection, SpanKind, Status, attribute, attributes } from './projection.js';
export { Values } from './sections.js';
export { EMPTY, REMOVE, UNREAD } from './values.js';
export { Blobs, Ids, Texts, U64s, rowsAtLeast, rowsEqual } from './views.js';
