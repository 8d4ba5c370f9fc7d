// Reads the body of a request, bounded in size and time.
import type { IncomingMessage } from 'node:http';
import { CONNECT_HEADER_LENGTH, FLAG_COMPRESSED, type Frame, FrameReader } from '@sandport/protocol/connect';
import type { Codec } from './codec.ts';
import type { Compression } from './compression.ts';
import { ConnectError } from './connect-error.ts';
import { BODY_TIMEOUT_MS, MAX_MESSAGE_BYTES } from './limits.ts';

/** The whole body. @throws ConnectError `resource_exhausted` past `limit`, `deadline_exceeded` when it takes too long */
export function readBody(request: IncomingMessage, limit = MAX_MESSAGE_BYTES): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const tooLarge = () => new ConnectError('resource_exhausted', `the message is longer than ${limit} bytes`);
  if (Number(request.headers['content-length'] ?? 0) > limit) return Promise.reject(tooLarge());
  if (request.destroyed) return Promise.reject(new ConnectError('canceled', 'the request broke off'));
  const chunks: Buffer[] = [];
  let length = 0;
  const timer = setTimeout(() => {
    reject(new ConnectError('deadline_exceeded', 'the request body did not arrive in time'));
  }, BODY_TIMEOUT_MS);
  request.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length <= limit) chunks.push(chunk);
    else reject(tooLarge());
  });
  request.once('end', () => resolve(chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)));
  request.once('close', () => reject(new ConnectError('canceled', 'the request broke off')));
  request.once('error', () => reject(new ConnectError('canceled', 'the request broke off')));
  return promise.finally(() => {
    clearTimeout(timer);
    request.removeAllListeners('data');
  });
}

/** The one message of a server-streaming request. */
export async function readSingleMessage(
  request: IncomingMessage,
  codec: Codec,
  compression: Compression | undefined,
): Promise<unknown> {
  const reader = new FrameReader(MAX_MESSAGE_BYTES);
  const frames = cut(reader, await readBody(request, MAX_MESSAGE_BYTES + CONNECT_HEADER_LENGTH));
  const [frame] = frames;
  if (frame === undefined || frames.length > 1 || reader.pending > 0) {
    throw new ConnectError('invalid_argument', `expected one message in the request, got ${frames.length}`);
  }
  return decodeFrame(frame, codec, compression);
}

/** The messages of a client-streaming request. The next bytes are read only when the last message was taken. */
export async function* readMessages(
  request: IncomingMessage,
  codec: Codec,
  compression: Compression | undefined,
): AsyncGenerator<unknown> {
  const reader = new FrameReader(MAX_MESSAGE_BYTES);
  // A refusal has to reach the client, so it must not end the connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    for (const frame of cut(reader, chunk as Buffer)) yield decodeFrame(frame, codec, compression);
  }
  if (reader.pending > 0) throw new ConnectError('invalid_argument', 'the request ends inside a message');
}

function cut(reader: FrameReader, bytes: Buffer): Frame[] {
  try {
    return reader.push(bytes);
  } catch (cause) {
    throw new ConnectError('resource_exhausted', cause instanceof Error ? cause.message : 'frame too long', { cause });
  }
}

function decodeFrame({ flags, payload }: Frame, codec: Codec, compression: Compression | undefined): unknown {
  const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
  if (flags === 0) return codec.decode(bytes);
  if (flags !== FLAG_COMPRESSED) throw new ConnectError('invalid_argument', `frame with unexpected flags ${flags}`);
  if (compression !== undefined) return codec.decode(compression.decompress(bytes));
  throw new ConnectError('invalid_argument', 'compressed frame without a negotiated compression');
}
