// The first thing a new user sees work: a sandbox, a web server in it, and its public URL answering.
import { setTimeout as delay } from 'node:timers/promises';
import type { RunningServer } from '@sandport/server/main';
import { Sandbox } from 'sandport';
import { trustAuthority } from './trust.ts';

const PORT = 3000;
const COMMAND = `python -m http.server ${PORT}`;
const ANSWER_MS = 30_000;
const RETRY_MS = 20;
const SHOWN_LINES = 8;
const LIFE_MS = 3_600_000;

/** Creates a sandbox with a web server and prints what its URL answers. The sandbox goes on. */
export async function showFirstSandbox({ connection }: RunningServer, signal: AbortSignal): Promise<void> {
  await trustAuthority(connection.caPath);
  const { domain, apiKey } = connection;
  const created = performance.now();
  const sandbox = await Sandbox.create({ domain, apiKey, timeoutMs: LIFE_MS });
  console.log(`A first sandbox: ${sandbox.sandboxId}, created in ${since(created)} ms, ends in an hour`);
  const started = performance.now();
  await sandbox.commands.run(COMMAND, { background: true, timeoutMs: 0 });
  console.log(`  $ ${COMMAND}`);
  const url = sandbox.getUrl(PORT);
  const answer = await firstAnswer(url, signal);
  console.log(`  ${url}\n  answered ${answer.status} after ${since(started)} ms:\n`);
  for (const line of (await answer.text()).split('\n').slice(0, SHOWN_LINES)) console.log(`    ${line}`);
  console.log('    ...\n');
}

/** Asks as any client would, until the server inside has bound its port. */
async function firstAnswer(url: string, signal: AbortSignal): Promise<Response> {
  const deadline = performance.now() + ANSWER_MS;
  for (;;) {
    signal.throwIfAborted();
    const response = await fetch(url, { signal });
    if (response.ok || performance.now() > deadline) return response;
    await response.body?.cancel();
    await delay(RETRY_MS);
  }
}

function since(start: number): number {
  return Math.round(performance.now() - start);
}
