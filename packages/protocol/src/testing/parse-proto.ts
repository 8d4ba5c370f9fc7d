// Reads as much of the .proto language as our own files use, into the form of a message table.
import type { Field, MessageTable } from '../message-table.ts';

export interface ParsedProto extends MessageTable {
  readonly package: string;
  readonly service: string;
  /** Request and response by method; a stream as `stream X`. */
  readonly methods: Readonly<Record<string, readonly [request: string, response: string]>>;
}

/** @throws Error at the first word that it does not expect */
export function parseProto(text: string): ParsedProto {
  const words = text.replace(/\/\/.*$/gm, '').match(/"[^"]*"|[\w.]+|[^\s\w]/g) ?? [];
  const messages: Record<string, Record<string, Field>> = {};
  const enums: Record<string, Record<string, number>> = {};
  const methods: Record<string, [string, string]> = {};
  let packageName = '';
  let service = '';
  let at = 0;
  const next = (): string => words[at++] ?? '';
  const expect = (...wanted: string[]): void => {
    for (const word of wanted) {
      const found = next();
      if (found !== word) throw new Error(`expected ${word}, found ${found} at word ${at}`);
    }
  };

  function message(outer: string): void {
    const name = outer + next();
    const fields: Record<string, Field> = {};
    messages[name] = fields;
    expect('{');
    while (words[at] !== '}') {
      if (words[at] === 'message') {
        at++;
        message(`${name}.`);
      } else if (words[at] === 'oneof') {
        at += 2;
        expect('{');
        while (words[at] !== '}') field(fields, name, 'oneof');
        expect('}');
      } else field(fields, name);
    }
    expect('}');
  }

  function field(fields: Record<string, Field>, outer: string, group?: 'oneof'): void {
    let type = next();
    let label: Field[2] = group;
    if (type === 'repeated') label = type;
    if (type === 'repeated' || type === 'optional') type = next();
    if (type === 'map') {
      label = type;
      expect('<', 'string', ',', 'string', '>');
      type = 'string';
    }
    const name = next().replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    expect('=');
    fields[name] = label === undefined ? [Number(next()), type] : [Number(next()), type, label];
    unresolved.push([fields, name, outer]);
    expect(';');
  }

  const unresolved: [Record<string, Field>, string, string][] = [];
  while (at < words.length) {
    const word = next();
    if (word === 'syntax') expect('=', '"proto3"', ';');
    else if (word === 'import') {
      next();
      expect(';');
    } else if (word === 'package') {
      packageName = next();
      expect(';');
    } else if (word === 'message') message('');
    else if (word === 'enum') {
      const values: Record<string, number> = {};
      enums[next()] = values;
      expect('{');
      while (words[at] !== '}') {
        const name = next();
        expect('=');
        values[name] = Number(next());
        expect(';');
      }
      expect('}');
    } else if (word === 'service') {
      service = next();
      expect('{');
      while (words[at] !== '}') {
        expect('rpc');
        const name = next();
        const type = (): string => {
          expect('(');
          const first = next();
          const whole = first === 'stream' ? `stream ${next()}` : first;
          expect(')');
          return whole;
        };
        const request = type();
        expect('returns');
        methods[name] = [request, type()];
        expect(';');
      }
      expect('}');
    } else throw new Error(`unexpected ${word}`);
  }
  // A type is looked for inside its own message first.
  for (const [fields, name, outer] of unresolved) {
    const [number, type, ...label] = fields[name]!;
    const inner = `${outer}.${type}`;
    if (inner in messages) fields[name] = [number, inner, ...label] as unknown as Field;
  }
  return { package: packageName, service, methods, messages, enums };
}
