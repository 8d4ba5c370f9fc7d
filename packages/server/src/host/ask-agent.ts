// Asks an agent for something. It is inside the sandbox and is not trusted: its answer is bounded in size and time.
import { request } from 'node:http';
import { AGENT_PORT } from '@sandport/protocol/agent-port';

const MAX_ANSWER_BYTES = 4 * 1024 * 1024;

/** The body of its answer. Rejects when there is none in time, or one of another status. */
export function askAgent(address: string, path: string, controlToken: string, ms: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'close', 'x-control-token': controlToken };
    const call = request({ host: address, port: AGENT_PORT, path, headers, agent: false });
    const timer = setTimeout(() => call.destroy(new Error('no answer')), ms);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      let received = 0;
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (received > MAX_ANSWER_BYTES) call.destroy(new Error('the answer is too long'));
        else chunks.push(chunk);
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
        else reject(new Error(`status ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    call.on('error', reject);
    call.on('close', () => {
      clearTimeout(timer);
      reject(new Error('closed'));
    });
    call.end();
  });
}
