// Header fields as `node:http2` reports them: names and values in turn.

import { narrowSetCookie } from '../access/narrow-set-cookie.ts';
import { fromMasked, type MaskedOrigin } from '../routing/masked-origin.ts';

export type Fields = Record<string, string | string[]>;

/** Fields that belong to one hop, and have no place in HTTP/2 (RFC 9113, section 8.2.2). */
const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade']);

export function endToEndFields(raw: readonly string[]): string[] {
  const fields: string[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i]!;
    const value = name === 'set-cookie' ? narrowSetCookie(raw[i + 1]!) : raw[i + 1]!;
    if (value !== undefined && !HOP_BY_HOP.has(name)) fields.push(name, value);
  }
  return fields;
}

/** Fields with a Location at the masked host translated. */
export function withPublicLocation(raw: string[], masked: MaskedOrigin | undefined): string[] {
  if (masked === undefined) return raw;
  return raw.map((text, index) =>
    index % 2 === 1 && raw[index - 1] === 'location' ? fromMasked(text, masked.host, masked.origin) : text,
  );
}

/** The form that trailers and interim responses are sent in. */
export function fieldsByName(raw: readonly string[]): Fields {
  const fields: Fields = {};
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const known = fields[raw[i]!];
    fields[raw[i]!] = known === undefined ? raw[i + 1]! : [known, raw[i + 1]!].flat();
  }
  return fields;
}
