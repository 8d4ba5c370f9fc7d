// One request to an agent. It is inside the sandbox and is not trusted: its answer is bounded in size and time.
import { request } from 'node:http';
import { AGENT_PORT } from '@sandport/protocol/agent-port';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

export interface AgentRequest {
  /** Default: GET. */
  readonly method?: string;
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Milliseconds until its answer has to be there, whole. */
  readonly ms: number;
  /** Bytes of the answer. Default: 4 MiB. */
  readonly longest?: number;
}

export interface AgentAnswer {
  readonly status: number;
  readonly body: string;
}

/** Rejects, with the system's code where there is one, when there is no answer in time, or one that is too long. */
export function sendToAgent(address: string, question: AgentRequest): Promise<AgentAnswer> {
  const { method = 'GET', path, headers = {}, body, ms, longest = MAX_ANSWER_BYTES } = question;
  return new Promise((resolve, reject) => {
    const options = { method, path, headers: { ...headers, connection: 'close' }, agent: false };
    const call = request({ host: address, port: AGENT_PORT, ...options });
    const timer = setTimeout(() => call.destroy(new Error('no answer')), ms);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let received = 0;
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > longest) call.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
      );
      response.on('error', reject);
    });
    call.on('error', reject);
    call.on('close', () => {
      clearTimeout(timer);
      reject(new Error('closed'));
    });
    call.end(body);
  });
}

/** The body of what a path answers the host. Rejects as `sendToAgent`, and for another status than 200. */
export async function askAgent(address: string, path: string, controlToken: string, ms: number): Promise<string> {
  const { status, body } = await sendToAgent(address, { path, headers: { 'x-control-token': controlToken }, ms });
  if (status !== 200) throw new Error(`status ${status}`);
  return body;
}
