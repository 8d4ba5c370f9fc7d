// The header fields that mean something to the gateway, told by their bytes without making a string of them.

/** What the gateway does with a field. */
export const Kind = {
  /** End-to-end: forwarded as it is. */
  other: 0,
  host: 1,
  contentLength: 2,
  transferEncoding: 3,
  connection: 4,
  upgrade: 5,
  te: 6,
  /** Hop-by-hop (RFC 9110, section 7.6.1) or set by the gateway alone: never forwarded. */
  drop: 7,
  /** Forwarded-like fields: dropped in requests, ordinary in responses. */
  forwarded: 8,
  keepAlive: 9,
  /** Narrowed in responses, ordinary in requests. */
  setCookie: 10,
} as const;

interface Name {
  readonly bytes: Uint8Array;
  readonly kind: number;
}

const byLength: Name[][] = [];
for (const [name, kind] of [
  ['te', Kind.te],
  ['host', Kind.host],
  ['upgrade', Kind.upgrade],
  ['forwarded', Kind.forwarded],
  ['connection', Kind.connection],
  ['keep-alive', Kind.keepAlive],
  ['set-cookie', Kind.setCookie],
  ['content-length', Kind.contentLength],
  ['x-forwarded-for', Kind.forwarded],
  ['x-forwarded-host', Kind.forwarded],
  ['x-forwarded-port', Kind.forwarded],
  ['proxy-connection', Kind.drop],
  ['x-forwarded-proto', Kind.forwarded],
  ['transfer-encoding', Kind.transferEncoding],
  ['proxy-authorization', Kind.drop],
  ['e2b-traffic-access-token', Kind.forwarded],
] as const) {
  byLength[name.length] ??= [];
  byLength[name.length]!.push({ bytes: Buffer.from(name), kind });
}
const longest = byLength.length;

const UNDERSCORE = 0x5f;
const DASH = 0x2d;

/**
 * The kind of the field whose name is at [start, end) of `buf`, which holds token bytes only. A name that differs from
 * a known one by `_` for `-` is dropped: CGI-like servers (WSGI, PHP) read both as the same variable, which would let a
 * client speak in the gateway's name.
 */
export function kindOfField(buf: Uint8Array, start: number, end: number): number {
  const length = end - start;
  if (length >= longest) return Kind.other;
  const names = byLength[length];
  if (names === undefined) return Kind.other;
  next: for (let n = 0; n < names.length; n++) {
    const { bytes, kind } = names[n]!;
    let underscores = 0;
    for (let i = 0; i < length; i++) {
      const byte = buf[start + i]!;
      if (byte === UNDERSCORE) {
        if (bytes[i] !== DASH) continue next;
        underscores++;
      } else if ((byte | 0x20) !== bytes[i]) {
        continue next;
      }
    }
    return underscores === 0 ? kind : Kind.drop;
  }
  return Kind.other;
}
