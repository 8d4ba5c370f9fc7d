// The messages of a Connect stream. The agent is not trusted: whatever it sends is bounded, and an error when malformed.
import { type EndOfStream, FLAG_COMPRESSED, FLAG_END_STREAM, FrameReader } from '@sandport/protocol/connect';
import { connectError, isConnectError } from './agent-errors.ts';
import { SandboxError } from './errors.ts';

/** Bytes; more than the agent ever puts into one message. */
const MAX_MESSAGE = 16 * 1024 * 1024;
/** How long the end of the HTTP body may come after the last frame, for the connection to be used again. */
const LAST_CHUNK_MS = 1000;

/**
 * Reads a stream to its end frame.
 *
 * @param explainCut makes the error that is thrown when the body ends, or fails, before the end frame
 * @throws the error in the end frame, or a SandboxError for what is no Connect stream
 */
export async function* readMessages<Message>(
  body: ReadableStream<Uint8Array>,
  explainCut: (error: unknown) => Promise<unknown>,
): AsyncGenerator<Message> {
  const frames = new FrameReader(MAX_MESSAGE);
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let ended = false;
  try {
    for (;;) {
      const chunk = await nextChunk(reader).catch(async (error: unknown) => {
        throw await explainCut(error);
      });
      for (const { flags, payload } of wellFormed(() => frames.push(chunk))) {
        if ((flags & FLAG_COMPRESSED) !== 0) throw new SandboxError('the agent sent a compressed message unasked');
        const message = wellFormed(() => JSON.parse(decoder.decode(payload)) as unknown);
        if ((flags & FLAG_END_STREAM) === 0) {
          yield message as Message;
          continue;
        }
        ended = true;
        const error = (message as EndOfStream | null)?.error;
        if (error === undefined) return;
        throw connectError(isConnectError(error) ? error : { code: 'unknown', message: JSON.stringify(error) });
      }
    }
  } finally {
    if (ended) void readLastChunk(reader);
    else reader.cancel().catch(() => {});
  }
}

async function nextChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<Uint8Array> {
  const { done, value } = await reader.read();
  if (done) throw new Error('the stream ended before its last frame');
  return value;
}

/** A connection can be used again only when its last answer was read to the end. */
async function readLastChunk(reader: ReadableStreamDefaultReader<Uint8Array>): Promise<void> {
  const timer = setTimeout(() => reader.cancel().catch(() => {}), LAST_CHUNK_MS);
  try {
    while (!(await reader.read()).done);
  } catch {
    // Everything that counts has been read.
  } finally {
    clearTimeout(timer);
  }
}

function wellFormed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new SandboxError(`the agent sent a malformed message: ${(error as Error).message}`, { cause: error });
  }
}
