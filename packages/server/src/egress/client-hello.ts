// Reads the server name of a TLS ClientHello (RFC 8446, section 4.1.2; RFC 6066, section 3) without decrypting
// anything. The bytes are hostile: every length is checked against what holds it, and the whole is bounded.

/** Of a ClientHello with everything before it; real ones have 300 bytes to 2 KiB, with post-quantum key shares. */
export const MAX_CLIENT_HELLO = 16_384;

const RECORD_HEADER = 5;
const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;
const HOST_NAME = 0;

export type ClientHello =
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'malformed' }
  /** `serverName` as it was sent; absent when there is none. */
  | { readonly kind: 'hello'; readonly serverName?: string };

const INCOMPLETE: ClientHello = { kind: 'incomplete' };
const MALFORMED: ClientHello = { kind: 'malformed' };

/** Whether these bytes may begin a TLS connection. */
export function looksLikeTls(bytes: Uint8Array): boolean {
  return bytes[0] === HANDSHAKE;
}

export function readClientHello(bytes: Buffer): ClientHello {
  const message = handshakeMessage(bytes);
  if (message === 'incomplete') return bytes.length >= MAX_CLIENT_HELLO ? MALFORMED : INCOMPLETE;
  if (message === 'malformed') return MALFORMED;
  try {
    const serverName = readServerName(new Reader(message));
    return serverName === undefined ? { kind: 'hello' } : { kind: 'hello', serverName };
  } catch (error) {
    if (error instanceof RangeError) return MALFORMED;
    throw error;
  }
}

/** Body of the first handshake message, which may be spread over several records. */
function handshakeMessage(bytes: Buffer): Buffer | 'incomplete' | 'malformed' {
  const parts: Buffer[] = [];
  let have = 0;
  let need = 4;
  for (let pos = 0; have < need; ) {
    if (bytes.length < pos + RECORD_HEADER) {
      return bytes.length > pos && bytes[pos] !== HANDSHAKE ? 'malformed' : 'incomplete';
    }
    const length = bytes.readUInt16BE(pos + 3);
    if (bytes[pos] !== HANDSHAKE || bytes[pos + 1] !== 3 || length === 0 || length > 16_384) return 'malformed';
    const part = bytes.subarray(pos + RECORD_HEADER, pos + RECORD_HEADER + length);
    parts.push(part);
    have += part.length;
    if (have >= 4 && need === 4) {
      const start = Buffer.concat(parts);
      if (start[0] !== CLIENT_HELLO) return 'malformed';
      need = 4 + start.readUIntBE(1, 3);
      if (need > MAX_CLIENT_HELLO) return 'malformed';
    }
    if (part.length < length && have < need) return 'incomplete';
    pos += RECORD_HEADER + length;
  }
  return Buffer.concat(parts).subarray(4, need);
}

function readServerName(hello: Reader): string | undefined {
  hello.skip(2 + 32);
  hello.vector(1);
  hello.vector(2);
  hello.vector(1);
  if (hello.isEmpty) return undefined;
  const extensions = hello.vector(2);
  if (!hello.isEmpty) throw new RangeError('bytes after the extensions');
  let found: string | undefined;
  let seen = false;
  while (!extensions.isEmpty) {
    const type = extensions.number(2);
    const body = extensions.vector(2);
    if (type !== SERVER_NAME) continue;
    if (seen) throw new RangeError('two server name extensions');
    seen = true;
    const names = body.vector(2);
    if (!body.isEmpty) throw new RangeError('bytes after the names');
    while (!names.isEmpty) {
      const nameType = names.number(1);
      const name = names.vector(2);
      if (nameType !== HOST_NAME) continue;
      if (found !== undefined) throw new RangeError('two host names');
      found = name.text();
    }
  }
  return found;
}

/** Throws a RangeError where there is less than was said. */
class Reader {
  readonly #bytes: Buffer;
  #pos = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get isEmpty(): boolean {
    return this.#pos === this.#bytes.length;
  }

  skip(length: number): void {
    if (this.#pos + length > this.#bytes.length) throw new RangeError('too short');
    this.#pos += length;
  }

  number(length: number): number {
    this.skip(length);
    return this.#bytes.readUIntBE(this.#pos - length, length);
  }

  /** What follows a length of so many bytes. */
  vector(lengthBytes: number): Reader {
    const length = this.number(lengthBytes);
    this.skip(length);
    return new Reader(this.#bytes.subarray(this.#pos - length, this.#pos));
  }

  text(): string {
    return this.#bytes.toString('latin1');
  }
}
