// Speaks to an agent as the e2b clients do, with nothing between the test and the wire.
import { encodeFrame, FLAG_END_STREAM, FrameReader } from '@sandport/protocol/connect';
import type { EndEvent, ProcessStreamMessage } from '@sandport/protocol/process-rpc';

export interface CallOptions {
  readonly user?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}

export interface Finished {
  readonly pid: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Absent when the stream ended without an end event. */
  readonly end: EndEvent | undefined;
  /** Code of the stream's error. */
  readonly error: string | undefined;
  readonly message: string | undefined;
}

export class AgentClient {
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
  }

  /** A unary method, of process.Process unless it names its service: status and body of its answer. */
  async unary(method: string, message: unknown, options: CallOptions = {}) {
    const answer = await this.#post(method, 'application/json', JSON.stringify(message), options);
    return { status: answer.status, body: JSON.parse(await answer.text()) };
  }

  /** A stream's messages; the last one is the payload of the end-of-stream frame under `endOfStream`. */
  async *stream(method: string, message: unknown, options: CallOptions = {}): AsyncGenerator<StreamItem> {
    const answer = await this.#post(method, 'application/connect+json', encodeFrame(0, message), options);
    if (answer.status !== 200) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
    yield* readStream(answer);
  }

  start(message: unknown, options?: CallOptions): AsyncGenerator<StreamItem> {
    return this.stream('Start', message, options);
  }

  /** Runs `sh -c` to its end. */
  shell(
    command: string,
    options: CallOptions & { message?: object; envs?: object; cwd?: string } = {},
  ): Promise<Finished> {
    const { envs, cwd, message, ...call } = options;
    const process = { cmd: '/bin/sh', args: ['-c', command], envs, cwd };
    return collect(this.start({ process, stdin: false, ...message }, call));
  }

  #post(method: string, type: string, body: string | Uint8Array, options: CallOptions): Promise<Response> {
    return fetch(`${this.#url}/${method.includes('/') ? method : `process.Process/${method}`}`, {
      method: 'POST',
      body: body as BodyInit,
      headers: {
        'content-type': type,
        ...(options.user !== undefined && { authorization: `Basic ${btoa(`${options.user}:`)}` }),
        ...options.headers,
      },
      ...(options.signal && { signal: options.signal }),
    });
  }
}

export interface StreamItem {
  readonly event?: ProcessStreamMessage['event'];
  readonly endOfStream?: { readonly error?: { readonly code: string; readonly message: string } };
}

export async function* readStream(answer: Response): AsyncGenerator<StreamItem> {
  const reader = new FrameReader(1024 * 1024);
  for await (const chunk of answer.body!) {
    for (const { flags, payload } of reader.push(chunk)) {
      const message = JSON.parse(new TextDecoder().decode(payload));
      yield flags === FLAG_END_STREAM ? { endOfStream: message } : message;
    }
  }
}

/** Reads a process' stream to its end. */
export async function collect(items: AsyncIterable<StreamItem>): Promise<Finished> {
  let pid = 0;
  let end: EndEvent | undefined;
  let error: { readonly code: string; readonly message: string } | undefined;
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  for await (const { event, endOfStream } of items) {
    if (endOfStream !== undefined) error = endOfStream.error;
    if (event === undefined) continue;
    if (end !== undefined) throw new Error('an event after the end event');
    if ('start' in event) pid = event.start.pid;
    if ('end' in event) end = event.end;
    if (!('data' in event)) continue;
    if ('stdout' in event.data) output.stdout.push(Buffer.from(event.data.stdout, 'base64'));
    if ('stderr' in event.data) output.stderr.push(Buffer.from(event.data.stderr, 'base64'));
  }
  return {
    pid,
    stdout: Buffer.concat(output.stdout).toString(),
    stderr: Buffer.concat(output.stderr).toString(),
    end,
    error: error?.code,
    message: error?.message,
  };
}

/** The pid of a stream that has just begun. */
export async function startedPid(items: AsyncGenerator<StreamItem>): Promise<number> {
  const { value } = await items.next();
  if (value?.event === undefined || !('start' in value.event)) throw new Error('the first message is not start');
  return value.event.start.pid;
}
