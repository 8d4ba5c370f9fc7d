// The body of an upload, from any form of content.
import { InvalidArgumentError } from '../errors.ts';
import type { FileContent } from './file-options.ts';

/** Browsers send no streams, or only over HTTP/2, and cannot be asked beforehand. Node, Bun and Deno name a Node version. */
const canSendStreams = typeof process !== 'undefined' && typeof process.versions?.node === 'string';

export class UploadBody {
  readonly #content: BodyInit | ReadableStream<Uint8Array<ArrayBuffer>>;
  #failure: unknown;

  /** Throws an InvalidArgumentError on content that is none. */
  constructor(data: FileContent, gzip: boolean) {
    const content = data instanceof ReadableStream ? this.#bytes(data) : data;
    if (
      !(content instanceof ReadableStream) &&
      typeof content !== 'string' &&
      !(content instanceof ArrayBuffer) &&
      !ArrayBuffer.isView(content) &&
      !(content instanceof Blob)
    ) {
      throw new InvalidArgumentError(
        `data is ${content === null ? 'null' : typeof content}; expected text, an ArrayBuffer, a Blob or a ReadableStream`,
      );
    }
    this.#content = gzip ? compressed(content) : content;
  }

  /** What the caller's stream failed of. */
  get failure(): unknown {
    return this.#failure;
  }

  async init(): Promise<RequestInit> {
    if (!(this.#content instanceof ReadableStream)) return { body: this.#content };
    if (!canSendStreams) return { body: await new Response(this.#content).blob() };
    // A stream can only be sent before its answer is read (fetch.spec.whatwg.org, "duplex").
    return { body: this.#content, duplex: 'half' } as RequestInit;
  }

  /** Text pieces become bytes, and a failure of the source is kept. */
  #bytes(source: ReadableStream<unknown>): ReadableStream<Uint8Array<ArrayBuffer>> {
    const reader = source.getReader();
    const encoder = new TextEncoder();
    return new ReadableStream({
      pull: async (controller) => {
        try {
          const { done, value } = await reader.read();
          if (done) controller.close();
          else controller.enqueue(toBytes(value, encoder));
        } catch (error) {
          this.#failure = error;
          throw error;
        }
      },
      cancel: (reason) => reader.cancel(reason),
    });
  }
}

function toBytes(piece: unknown, encoder: TextEncoder): Uint8Array<ArrayBuffer> {
  if (typeof piece === 'string') return encoder.encode(piece);
  if (piece instanceof Uint8Array) return piece as Uint8Array<ArrayBuffer>;
  if (piece instanceof ArrayBuffer) return new Uint8Array(piece);
  throw new InvalidArgumentError(`a piece of the stream is ${typeof piece}; expected text or bytes`);
}

function compressed(content: BodyInit): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new Response(content).body!.pipeThrough(new CompressionStream('gzip'));
}
