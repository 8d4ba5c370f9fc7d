// Waits until a sandbox makes no TCP connection: gVisor before February 2026 cannot write down one that is being made, nor
// the sandbox ever after it has tried (google/gvisor#12567).
import { setTimeout as delay } from 'node:timers/promises';
import { CONNECTING_PATH, MAX_CONNECTING } from '@sandport/protocol/agent-port';
import { askAgent } from './ask-agent.ts';

const ANSWER_MS = 1000;
const FIRST_LOOK_MS = 10;
const LATER_LOOK_MS = 50;
/** A connection that nobody answers is tried again after 1, 3, 7, 15 and 31 seconds. */
const LONGEST_MS = 35_000;

export class StillConnecting extends Error {
  override name = 'StillConnecting';
}

/**
 * To be called when everything that the sandbox sends is refused: what it begins now ends at once, and what was begun
 * before when it is tried again. An agent that does not answer, or does not know of the question, is not waited for.
 * Throws `StillConnecting`.
 *
 * @param look what is being made now; from the agent, unless it is given
 */
export async function untilNoneConnects(
  address: string,
  controlToken: string,
  look: () => Promise<readonly string[]> = () => connecting(address, controlToken),
): Promise<void> {
  const deadline = performance.now() + LONGEST_MS;
  let before = new Set(await look());
  // One that is made over and over is another each time.
  for (let wait = FIRST_LOOK_MS; before.size > 0; wait = LATER_LOOK_MS) {
    if (performance.now() > deadline) {
      throw new StillConnecting('a program in it waits for a connection that nobody answers');
    }
    await delay(wait);
    before = new Set((await look()).filter((socket) => before.has(socket)));
  }
}

async function connecting(address: string, controlToken: string): Promise<string[]> {
  try {
    const answer: unknown = JSON.parse(await askAgent(address, CONNECTING_PATH, controlToken, ANSWER_MS));
    if (!Array.isArray(answer)) return [];
    return answer.filter((item) => typeof item === 'string').slice(0, MAX_CONNECTING);
  } catch {
    return [];
  }
}

/** What of a failed snapshot's error a client can do something about. */
export function reasonOf(error: unknown): string {
  return error instanceof StillConnecting ? `: ${error.message}` : '';
}
