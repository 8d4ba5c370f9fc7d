// Names of hosts, and the patterns that rules name them by.

/** Labels of letters, digits, hyphens and underscores, with at least one letter in the last one: no IP address. */
const NAME =
  /^(?=.{1,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/** Of the last call: the requests of one connection name one host, and those of many mostly do. */
let lastText = '';
let lastName: string | undefined;

/** In lower case and without the root's dot; undefined for what is no name of a host. */
export function readHostName(text: string): string | undefined {
  if (text === lastText) return lastName;
  const name = text.toLowerCase().replace(/\.$/, '');
  lastName = NAME.test(name) ? name : undefined;
  lastText = text;
  return lastName;
}

/** A name, or `*.` and a name; `*` alone only where `every` is set. Undefined for anything else. */
export function readPattern(text: string, every = false): string | undefined {
  const pattern = text.toLowerCase();
  if (pattern === '*') return every ? pattern : undefined;
  if (!pattern.startsWith('*.')) return readHostName(pattern);
  const suffix = readHostName(pattern.slice(2));
  return suffix === undefined ? undefined : `*.${suffix}`;
}

/** A set of patterns. `*.example.com` fits names at any depth below, and not example.com itself. */
export class DomainPatterns<Value> {
  readonly #values: ReadonlyMap<string, Value>;

  constructor(entries: Iterable<readonly [pattern: string, value: Value]>) {
    this.#values = new Map(entries);
  }

  get size(): number {
    return this.#values.size;
  }

  /** The value of the name itself, else of the longest pattern. */
  find(name: string): Value | undefined {
    const exact = this.#values.get(name);
    if (exact !== undefined) return exact;
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1)) {
      const value = this.#values.get(`*${name.slice(dot)}`);
      if (value !== undefined) return value;
    }
    return this.#values.get('*');
  }
}
