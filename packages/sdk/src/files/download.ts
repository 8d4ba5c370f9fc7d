// Reads a file of a sandbox over HTTP.
import type { AgentClient } from '../agent-client.ts';
import { type ConnectionConfig, checkMilliseconds } from '../connection-config.ts';
import { InvalidArgumentError } from '../errors.ts';
import { StreamLife } from '../stream-life.ts';
import { aboutFiles } from './file-failure.ts';
import type { FileFormat, FileReadOptions } from './file-options.ts';
import { fileRoute } from './file-url.ts';

export async function download(
  agent: AgentClient,
  config: ConnectionConfig,
  path: string,
  options: FileReadOptions & { readonly format?: FileFormat | undefined },
): Promise<string | Uint8Array | Blob | ReadableStream<Uint8Array>> {
  const { format = 'text', gzip, user, requestTimeoutMs = config.requestTimeoutMs } = options;
  const { streamIdleTimeoutMs = requestTimeoutMs } = options;
  checkMilliseconds('requestTimeoutMs', requestTimeoutMs);
  checkMilliseconds('streamIdleTimeoutMs', streamIdleTimeoutMs);
  if (!FORMATS.includes(format)) {
    throw new InvalidArgumentError(`format is "${format}"; expected one of ${FORMATS.join(', ')}`);
  }
  const life = new StreamLife(options.signal);
  life.limit(requestTimeoutMs, 'the request took longer than requestTimeoutMs');
  const { signal } = life;
  try {
    const headers = { 'Accept-Encoding': gzip ? 'gzip' : 'identity' };
    const response = await aboutFiles(agent.plain(fileRoute(path, user), { headers, signal }));
    if (format === 'stream') return pieces(agent, response, life, streamIdleTimeoutMs);
    const whole = await agent.uncut<Blob | ArrayBuffer>(
      format === 'blob' ? response.blob() : response.arrayBuffer(),
      signal,
    );
    life.release();
    if (whole instanceof Blob) return whole;
    // A byte order mark is content like any other.
    return format === 'bytes' ? new Uint8Array(whole) : new TextDecoder('utf-8', { ignoreBOM: true }).decode(whole);
  } catch (error) {
    life.end();
    throw error;
  }
}

const FORMATS: readonly FileFormat[] = ['text', 'bytes', 'blob', 'stream'];

/** The body, whose time limit runs only while somebody waits for a piece. */
function pieces(
  agent: AgentClient,
  response: Response,
  life: StreamLife,
  idleMs: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const reader = (response.body ?? new Blob([]).stream()).getReader();
  life.limit(0, '');
  return new ReadableStream<Uint8Array<ArrayBuffer>>(
    {
      async pull(controller) {
        life.limit(idleMs, 'the next piece of the file took longer than streamIdleTimeoutMs');
        try {
          const { done, value } = await agent.uncut(reader.read(), life.signal);
          life.limit(0, '');
          if (!done) return controller.enqueue(value);
          life.release();
          controller.close();
        } catch (error) {
          life.end();
          throw error;
        }
      },
      cancel() {
        life.end();
      },
    },
    { highWaterMark: 0 },
  );
}
