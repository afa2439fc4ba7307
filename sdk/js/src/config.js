/**
 * Configurations: JSON, and for what is wrong with it the path of the value.
 * @module
 */

import { ConfigError } from './errors.js';

export class Config {
  constructor(members, path = '$') {
    this.members = members;
    this.path = path;
    this.asked = new Set();
    this.objectsRead = [];
  }

  static parse(text) {
    let value;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new ConfigError('$', `is no JSON: ${error.message}`);
    }
    if (!isObject(value)) throw new ConfigError('$', 'must be an object');
    return new Config(value);
  }

  fail(key, message) {
    throw new ConfigError(`${this.path}.${key}`, message);
  }

  text(key, fallback) {
    return this.value(key, fallback, 'a text', (value) => typeof value === 'string');
  }

  boolean(key, fallback) {
    return this.value(key, fallback, 'true or false', (value) => typeof value === 'boolean');
  }

  integer(key, { fallback, least, most }) {
    const fits = (value) => Number.isInteger(value) && value >= least && value <= most;
    return this.value(key, fallback, `a whole number from ${least} to ${most}`, fits);
  }

  number(key, { fallback, least, most }) {
    const fits = (value) => typeof value === 'number' && value >= least && value <= most;
    return this.value(key, fallback, `a number from ${least} to ${most}`, fits);
  }

  texts(key, fallback) {
    const list = this.value(key, fallback, 'a list of texts', Array.isArray);
    list.forEach((item, i) => {
      if (typeof item !== 'string') throw new ConfigError(`${this.path}.${key}[${i}]`, 'must be a text');
    });
    return list;
  }

  mapping(key, fallback) {
    const value = this.value(key, fallback, 'an object', isObject);
    if (value instanceof Map) return value;
    const mapping = new Map(Object.entries(value));
    mapping.forEach((item, name) => {
      if (typeof item !== 'string') throw new ConfigError(`${this.path}.${key}.${name}`, 'must be a text');
    });
    return mapping;
  }

  object(key) {
    const inner = new Config(this.value(key, {}, 'an object', isObject), `${this.path}.${key}`);
    this.objectsRead.push(inner);
    return inner;
  }

  objects(key) {
    const list = this.value(key, [], 'a list of objects', Array.isArray);
    const inner = list.map((item, i) => {
      const path = `${this.path}.${key}[${i}]`;
      if (!isObject(item)) throw new ConfigError(path, 'must be an object');
      return new Config(item, path);
    });
    this.objectsRead.push(...inner);
    return inner;
  }

  refuseUnknown() {
    Object.keys(this.members).forEach((key) => {
      if (!this.asked.has(key)) this.fail(key, 'unknown');
    });
    this.objectsRead.forEach((inner) => inner.refuseUnknown());
  }

  value(key, fallback, what, fits) {
    this.asked.add(key);
    if (!Object.hasOwn(this.members, key)) {
      if (fallback === undefined) this.fail(key, `must be there: ${what}`);
      return fallback;
    }
    if (!fits(this.members[key])) this.fail(key, `must be ${what}`);
    return this.members[key];
  }
}

function isObject(value) {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
