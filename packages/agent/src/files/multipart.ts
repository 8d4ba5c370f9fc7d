// Reads a multipart/form-data body (RFC 7578, RFC 2046 section 5.1) as it arrives, keeping no more than one chunk.
import { FileError } from './file-error.ts';

const MAX_HEADER_BYTES = 16 * 1024;
const CRLF2 = Buffer.from('\r\n\r\n');

export interface Part {
  readonly name: string | undefined;
  readonly filename: string | undefined;
  /** To be read to its end before the next part. */
  readonly content: AsyncIterable<Buffer>;
}

/** @throws FileError 400 when the type names no boundary */
export function boundaryOf(contentType: string): string {
  const match = /;\s*boundary=(?:"([^"\r\n]{1,70})"|([^\s";]{1,70}))/i.exec(contentType);
  const boundary = match?.[1] ?? match?.[2];
  if (boundary === undefined) throw new FileError(400, 'the content type names no boundary');
  return boundary;
}

export async function* readParts(body: AsyncIterable<Buffer>, boundary: string): AsyncGenerator<Part> {
  const input = new Input(body, Buffer.from(`\r\n--${boundary}`));
  // What stands before the first delimiter is not part of anything. The line break lets it match at the very start.
  input.prepend(Buffer.from('\r\n'));
  for await (const _ of input.untilDelimiter());
  while (!(await input.atClosingDelimiter())) {
    const headers = await input.headers();
    const disposition = headers.get('content-disposition') ?? '';
    const content = input.untilDelimiter();
    yield { name: parameter(disposition, 'name'), filename: filenameOf(disposition), content };
    for await (const _ of content);
  }
}

class Input {
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #delimiter: Buffer;
  #buffer: Buffer = Buffer.alloc(0);

  constructor(body: AsyncIterable<Buffer>, delimiter: Buffer) {
    this.#chunks = body[Symbol.asyncIterator]();
    this.#delimiter = delimiter;
  }

  prepend(bytes: Buffer): void {
    this.#buffer = Buffer.concat([bytes, this.#buffer]);
  }

  /** Yields everything up to the next delimiter and leaves the input behind it. */
  async *untilDelimiter(): AsyncGenerator<Buffer> {
    for (;;) {
      const at = this.#buffer.indexOf(this.#delimiter);
      if (at !== -1) {
        const content = this.#buffer.subarray(0, at);
        this.#buffer = this.#buffer.subarray(at + this.#delimiter.length);
        if (content.length > 0) yield content;
        return;
      }
      // The end of what is here may be the beginning of a delimiter.
      const safe = this.#buffer.length - this.#delimiter.length + 1;
      if (safe > 0) {
        const content = this.#buffer.subarray(0, safe);
        this.#buffer = this.#buffer.subarray(safe);
        yield content;
      }
      await this.#more();
    }
  }

  /** `--` behind a delimiter ends the body; anything else is the rest of the delimiter's line. */
  async atClosingDelimiter(): Promise<boolean> {
    while (this.#buffer.length < 2) await this.#more();
    return this.#buffer.toString('latin1', 0, 2) === '--';
  }

  async headers(): Promise<Map<string, string>> {
    // A part without headers has its empty line at once.
    for (;;) {
      const at = this.#buffer.indexOf(CRLF2);
      if (at > MAX_HEADER_BYTES || (at === -1 && this.#buffer.length > MAX_HEADER_BYTES)) {
        throw new FileError(400, 'the headers of a part are too long');
      }
      if (at !== -1) {
        const lines = this.#buffer.toString('utf8', 0, at).split('\r\n');
        this.#buffer = this.#buffer.subarray(at + CRLF2.length);
        const pairs = lines
          .filter((line) => line.includes(':'))
          .map((line): [string, string] => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim()];
          });
        return new Map(pairs);
      }
      await this.#more();
    }
  }

  async #more(): Promise<void> {
    const { value, done } = await this.#chunks.next();
    if (done) throw new FileError(400, 'the multipart body ends inside a part');
    this.#buffer = this.#buffer.length === 0 ? value : Buffer.concat([this.#buffer, value]);
  }
}

/** Browsers escape a quote as %22; others with a backslash. */
function parameter(disposition: string, name: string): string | undefined {
  const match = new RegExp(`;\\s*${name}=(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s;]+))`, 'i').exec(disposition);
  return match?.[1]?.replace(/\\(["\\])/g, '$1').replaceAll('%22', '"') ?? match?.[2];
}

function filenameOf(disposition: string): string | undefined {
  const extended = /;\s*filename\*=utf-8''([^\s;]+)/i.exec(disposition)?.[1];
  if (extended === undefined) return parameter(disposition, 'filename');
  try {
    return decodeURIComponent(extended);
  } catch {
    throw new FileError(400, 'a filename is not valid UTF-8');
  }
}
