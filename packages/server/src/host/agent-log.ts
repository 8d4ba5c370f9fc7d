// Asks an agent what happened in its sandbox. What it says is the sandbox's word: bounded, and looked at piece by piece.
import {
  LOG_LEVELS,
  type LogEntry,
  type LogLevel,
  MAX_AGENT_ENTRIES,
  MAX_LOG_TEXT,
} from '@sandport/protocol/agent-log';
import { askAgent } from './ask-agent.ts';

const ANSWER_MS = 5000;
const MAX_FIELDS = 16;
const MAX_NAME = 64;

/** The oldest first. Rejects when the agent does not answer in time, or with something else. */
export async function readAgentLog(address: string, controlToken: string): Promise<LogEntry[]> {
  return readEntries(JSON.parse(await askAgent(address, '/logs', controlToken, ANSWER_MS)));
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
