// The answering side of a stream: frames out, one end-of-stream frame last, keepalives in silence.
import type { ServerResponse } from 'node:http';
import {
  CONNECT_HEADER_LENGTH,
  type EndOfStream,
  FLAG_COMPRESSED,
  FLAG_END_STREAM,
  writeFrameHeader,
} from '@sandport/protocol/connect';
import type { Codec } from './codec.ts';
import { type Compression, MIN_COMPRESSED_BYTES } from './compression.ts';
import type { ConnectError } from './connect-error.ts';

export class MessageStream {
  readonly #response: ServerResponse;
  readonly #codec: Codec;
  readonly #compression: Compression | undefined;
  #keepalive: NodeJS.Timeout | undefined;

  constructor(response: ServerResponse, codec: Codec, compression?: Compression) {
    this.#response = response;
    this.#codec = codec;
    this.#compression = compression;
    response.once('close', () => clearTimeout(this.#keepalive));
  }

  /** Whether what was sent so far has left for the client; false asks the sender to wait for `onDrain`. */
  get writable(): boolean {
    return !this.#response.writableNeedDrain;
  }

  /** Bytes that were sent and that the client has not taken yet. */
  get waiting(): number {
    return this.#response.writableLength;
  }

  /** Sends one message at once. After the end or a broken connection it does nothing. */
  send(message: unknown): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    const payload = this.#codec.encode(message);
    const compression = payload.length < MIN_COMPRESSED_BYTES ? undefined : this.#compression;
    this.#response.write(
      compression === undefined ? frame(0, payload) : frame(FLAG_COMPRESSED, compression.compress(payload)),
    );
    this.#keepalive?.refresh();
  }

  /** Ends the stream, successfully unless there is an error. */
  end(error?: ConnectError): void {
    if (this.#response.writableEnded || this.#response.destroyed) return;
    clearTimeout(this.#keepalive);
    const last: EndOfStream = error === undefined ? {} : { error: error.toBody() };
    // The end-of-stream payload is JSON in every codec.
    this.#response.end(frame(FLAG_END_STREAM, Buffer.from(JSON.stringify(last))));
  }

  /** Sends `message` whenever nothing else was sent for that long. */
  keepAlive(intervalMs: number, message: unknown): void {
    this.#keepalive = setTimeout(() => {
      this.send(message);
      this.#keepalive?.refresh();
    }, intervalMs);
  }

  onDrain(callback: () => void): void {
    this.#response.on('drain', callback);
  }

  /** Calls back once when the client has taken what was sent, or is gone. */
  onceWritable(callback: () => void): void {
    const response = this.#response;
    if (this.writable || response.destroyed) {
      callback();
      return;
    }
    const settle = (): void => {
      response.off('drain', settle).off('close', settle);
      callback();
    };
    response.on('drain', settle).on('close', settle);
  }

  /** Calls back once when the client is gone or has everything. */
  onClose(callback: () => void): void {
    if (this.#response.destroyed) callback();
    else this.#response.once('close', callback);
  }
}

function frame(flags: number, payload: Buffer): Buffer {
  const bytes = Buffer.allocUnsafe(CONNECT_HEADER_LENGTH + payload.length);
  writeFrameHeader(bytes, flags, payload.length);
  payload.copy(bytes, CONNECT_HEADER_LENGTH);
  return bytes;
}
