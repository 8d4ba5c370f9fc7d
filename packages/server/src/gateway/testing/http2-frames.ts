// For tests: HTTP/2 frames (RFC 9113, section 4.1) with what no HTTP/2 library would send.

export const FrameType = {
  data: 0x0,
  headers: 0x1,
  rstStream: 0x3,
  settings: 0x4,
  ping: 0x6,
  continuation: 0x9,
} as const;

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** What a client sends first: the preface and its SETTINGS. */
export const PREFACE = Buffer.concat([
  Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  frame(FrameType.settings, 0, 0, Buffer.alloc(0)),
]);

/** Fields as literals (RFC 7541, section 6.2.2), whatever is in them. */
export function fieldBlock(fields: readonly [name: string, value: string][]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), literal(name), literal(value)]));
}

/** A HEADERS frame that opens a stream. */
export function headersFrame(
  stream: number,
  fields: readonly [name: string, value: string][],
  endStream = false,
): Buffer {
  return frame(FrameType.headers, endStream ? 0x5 : 0x4, stream, fieldBlock(fields));
}

function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1');
  if (bytes.length >= 127) throw new Error('a longer literal needs a longer prefix');
  return Buffer.concat([Buffer.of(bytes.length), bytes]);
}
