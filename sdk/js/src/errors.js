/**
 * What a plugin answers when it cannot answer. `payload` is what componentize-js makes the error of in the WIT.
 * @module
 */

export class PluginError extends Error {
  constructor(tag, message) {
    super(message);
    this.name = 'PluginError';
    this.tag = tag;
    this.payload = { tag, val: message };
  }
}

export class BadInput extends PluginError {
  constructor(message) {
    super('bad-input', message);
    this.name = 'BadInput';
  }
}

export class NotReady extends PluginError {
  constructor(message) {
    super('not-ready', message);
    this.name = 'NotReady';
  }
}

export class Internal extends PluginError {
  constructor(message) {
    super('internal', message);
    this.name = 'Internal';
  }
}

export class ConfigError extends Error {
  constructor(path, message) {
    super(`${path}: ${message}`);
    this.name = 'ConfigError';
    this.path = path;
    this.payload = { path, message };
  }
}

export class Denied extends Error {
  constructor(status, message, ttlSeconds = 10) {
    super(message);
    this.name = 'Denied';
    this.status = status;
    this.ttlSeconds = ttlSeconds;
    this.payload = { status, message, ttlSeconds };
  }
}

/** Of anything that was thrown: what went wrong, and where. Nobody sees a stack in the host. */
export function words(error) {
  if (!(error instanceof Error)) return String(error);
  const where = /(\S+:\d+):\d+/.exec(error.stack ?? '');
  return `${error.name}: ${error.message}${where ? ` (${where[1]})` : ''}`;
}
