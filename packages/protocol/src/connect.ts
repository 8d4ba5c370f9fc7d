// Framing of Connect streams (connectrpc.com/docs/protocol): one flag byte, a big-endian length, the payload.

export const STREAM_CONTENT_TYPE = 'application/connect+json';
export const UNARY_CONTENT_TYPE = 'application/json';
export const PROTO_STREAM_CONTENT_TYPE = 'application/connect+proto';
export const PROTO_UNARY_CONTENT_TYPE = 'application/proto';
export const CONNECT_HEADER_LENGTH = 5;
export const FLAG_COMPRESSED = 1;
export const FLAG_END_STREAM = 2;

/** Connect error codes with the HTTP status of a unary error. */
export const connectCodes = {
  canceled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const satisfies Record<string, number>;

export type ConnectCode = keyof typeof connectCodes;

/** Body of a unary error and the `error` of an end-of-stream frame. */
export interface ConnectErrorBody {
  readonly code: ConnectCode;
  readonly message: string;
}

/** The payload of the last frame of every stream. */
export interface EndOfStream {
  readonly error?: ConnectErrorBody;
  readonly metadata?: Record<string, readonly string[]>;
}

/** Writes the five header bytes of a frame. */
export function writeFrameHeader(target: Uint8Array, flags: number, length: number): void {
  new DataView(target.buffer, target.byteOffset, CONNECT_HEADER_LENGTH).setUint32(1, length);
  target[0] = flags;
}

/** Encodes one frame with a JSON payload. */
export function encodeFrame(flags: number, message: unknown): Uint8Array {
  const payload = new TextEncoder().encode(JSON.stringify(message));
  const frame = new Uint8Array(CONNECT_HEADER_LENGTH + payload.length);
  writeFrameHeader(frame, flags, payload.length);
  frame.set(payload, CONNECT_HEADER_LENGTH);
  return frame;
}

export interface Frame {
  readonly flags: number;
  readonly payload: Uint8Array;
}

/** Cuts a byte stream, arriving in any pieces, into frames. Throws a RangeError on a frame longer than `maxPayload` bytes. */
export class FrameReader {
  #pieces: Uint8Array[] = [];
  #length = 0;
  readonly #maxPayload: number;

  constructor(maxPayload: number) {
    this.#maxPayload = maxPayload;
  }

  /** Bytes of a frame that has begun and not ended. */
  get pending(): number {
    return this.#length;
  }

  push(chunk: Uint8Array): Frame[] {
    this.#pieces.push(chunk);
    this.#length += chunk.length;
    const frames: Frame[] = [];
    for (;;) {
      if (this.#length < CONNECT_HEADER_LENGTH) return frames;
      const header = this.#peek(CONNECT_HEADER_LENGTH);
      const size = new DataView(header.buffer, header.byteOffset, CONNECT_HEADER_LENGTH).getUint32(1);
      if (size > this.#maxPayload) {
        throw new RangeError(`frame of ${size} bytes is longer than the limit of ${this.#maxPayload}`);
      }
      if (this.#length < CONNECT_HEADER_LENGTH + size) return frames;
      const whole = this.#peek(CONNECT_HEADER_LENGTH + size);
      frames.push({ flags: whole[0]!, payload: whole.subarray(CONNECT_HEADER_LENGTH, CONNECT_HEADER_LENGTH + size) });
      this.#drop(CONNECT_HEADER_LENGTH + size);
    }
  }

  /** The first bytes in one piece, at least `size` of them; joins pieces only when one does not hold them. */
  #peek(size: number): Uint8Array {
    const first = this.#pieces[0]!;
    if (first.length >= size) return first;
    const joined = new Uint8Array(this.#length);
    let offset = 0;
    for (const piece of this.#pieces) {
      joined.set(piece, offset);
      offset += piece.length;
    }
    this.#pieces = [joined];
    return joined;
  }

  #drop(size: number): void {
    const rest = this.#pieces[0]!.subarray(size);
    if (rest.length === 0) this.#pieces.shift();
    else this.#pieces[0] = rest;
    this.#length -= size;
  }
}
