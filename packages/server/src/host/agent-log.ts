// Asks an agent what happened in its sandbox. What it says is the sandbox's word: bounded, and looked at piece by piece.
import { request } from 'node:http';
import {
  LOG_LEVELS,
  type LogEntry,
  type LogLevel,
  MAX_AGENT_ENTRIES,
  MAX_LOG_TEXT,
} from '@sandport/protocol/agent-log';
import { AGENT_PORT } from '@sandport/protocol/agent-port';

const ANSWER_MS = 5000;
const MAX_ANSWER_BYTES = 4 * 1024 * 1024;
const MAX_FIELDS = 16;
const MAX_NAME = 64;

/** The oldest first. Rejects when the agent does not answer in time, or with something else. */
export async function readAgentLog(address: string, controlToken: string): Promise<LogEntry[]> {
  return readEntries(JSON.parse(await get(address, controlToken)));
}

/** What of an answer are entries; the rest is left out. Exported for its test. */
export function readEntries(answer: unknown): LogEntry[] {
  if (!Array.isArray(answer)) throw new TypeError('the log of the agent is not a list');
  return answer.slice(-MAX_AGENT_ENTRIES).flatMap((item: unknown) => readEntry(item) ?? []);
}

function readEntry(item: unknown): LogEntry | undefined {
  if (typeof item !== 'object' || item === null) return undefined;
  const { at, level, logger, message, fields } = item as Readonly<Record<string, unknown>>;
  const isWhole =
    isTime(at) &&
    LOG_LEVELS.includes(level as LogLevel) &&
    isText(logger, MAX_NAME) &&
    isText(message, MAX_LOG_TEXT) &&
    typeof fields === 'object' &&
    fields !== null;
  if (!isWhole) return undefined;
  const kept = Object.entries(fields as object)
    .filter((entry): entry is [string, string] => isText(entry[0], MAX_NAME) && isText(entry[1], MAX_LOG_TEXT))
    .slice(0, MAX_FIELDS);
  return { at, level: level as LogLevel, logger, message, fields: Object.fromEntries(kept) };
}

/** What a Date can hold. */
function isTime(value: unknown): value is number {
  return typeof value === 'number' && Math.abs(value) <= 8.64e15;
}

function isText(value: unknown, longest: number): value is string {
  return typeof value === 'string' && value.length <= longest;
}

function get(address: string, controlToken: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const headers = { connection: 'close', 'x-control-token': controlToken };
    const call = request({ host: address, port: AGENT_PORT, path: '/logs', headers, agent: false });
    const timer = setTimeout(() => call.destroy(new Error('no answer')), ANSWER_MS);
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
