// Start time and idle memory of the agent's process, beside a bare HTTP server on the same Node, in turns.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { readInstallation } from '@sandport/server/host/image/installation';
import { agentArguments } from '@sandport/server/host/runtime/agent-process';
import { AgentClient } from '../../packages/agent/src/testing/agent-client.ts';
import { initOf, listeningPort, makeRoot } from '../../packages/agent/src/testing/agent-process.ts';
import { SAMPLES_HEADING, Samples } from '../support/samples.ts';

/** A program of a few lines that answers requests, and says where as the agent does. */
const BARE_SERVER = `
const server = require('node:http').createServer((_, answer) => answer.end('ok'));
server.listen(0, '127.0.0.1', () => console.log('listening on port ' + server.address().port));
`;
/** After this V8 has given back what it took to start. */
const SETTLE_MS = 2000;
const TITLE_WIDTH = 46;

interface Idle {
  /** Milliseconds from the start of the process to the first answer. */
  readonly start: number;
  /** Memory that no other process shares, in KiB, after the first answer and a pause. */
  readonly memory: number;
}

export async function measureIdle(rounds: number, signal: AbortSignal): Promise<void> {
  const { agentDirectory } = await readInstallation();
  const command = agentArguments().map((argument) => argument.replace('/.sandport', agentDirectory));
  const samples = {
    agentStart: new Samples(),
    bareStart: new Samples(),
    agentMemory: new Samples(),
    usedMemory: new Samples(),
    bareMemory: new Samples(),
  };
  for (let round = 0; round <= rounds; round++) {
    signal.throwIfAborted();
    const bare = await bareServer(command.slice(0, -1));
    const agent = await agentServer(command);
    // The first round fills the page cache for both.
    if (round === 0) continue;
    samples.bareStart.add(bare.start);
    samples.bareMemory.add(bare.memory);
    samples.agentStart.add(agent.start);
    samples.agentMemory.add(agent.memory);
    samples.usedMemory.add(agent.usedMemory);
  }
  const { agentStart, bareStart, agentMemory, usedMemory, bareMemory } = samples;
  console.log(`agent, idle: ${rounds} rounds in turns\n`);
  console.log(`${'start to first answer, milliseconds'.padEnd(TITLE_WIDTH + 2)}${SAMPLES_HEADING}`);
  print('agent', agentStart);
  print('bare HTTP server on the same Node', bareStart);
  console.log(`\n${'private memory (dirty pages), KiB'.padEnd(TITLE_WIDTH + 2)}${SAMPLES_HEADING}`);
  print('agent, initialised', agentMemory);
  print('agent, after a first command', usedMemory);
  print('bare HTTP server on the same Node', bareMemory);
  const ratio = (ours: Samples, peer: Samples): string => (ours.median / peer.median).toFixed(2);
  console.log(
    `\n  medians, the agent's to the bare server's: start ${ratio(agentStart, bareStart)}, memory ${ratio(agentMemory, bareMemory)}, after a command ${ratio(usedMemory, bareMemory)}\n`,
  );
}

function print(title: string, samples: Samples): void {
  console.log(`  ${title.padEnd(TITLE_WIDTH)}${samples}`);
}

/** @param node what starts Node, with its options */
async function bareServer(node: readonly string[]): Promise<Idle> {
  await using server = await Server.start([...node, '-e', BARE_SERVER]);
  return { start: server.startMs, memory: await server.settledMemory() };
}

async function agentServer(command: readonly string[]): Promise<Idle & { readonly usedMemory: number }> {
  using root = makeRoot();
  await using server = await Server.start([...command, '--port', '0', '--host', '127.0.0.1', '--root', root.path]);
  const { url } = server;
  const answer = await fetch(`${url}/init`, { method: 'POST', body: JSON.stringify(initOf(root.path)) });
  if (!answer.ok) throw new Error(`the agent refused its initialisation: ${answer.status} ${await answer.text()}`);
  const memory = await server.settledMemory();
  const { end } = await new AgentClient(url).shell('true', { user: 'user' });
  if (end?.status !== 'exit status 0') throw new Error(`true ended with ${end?.status}`);
  return { start: server.startMs, memory, usedMemory: await server.settledMemory() };
}

/** A server as a process of its own. */
class Server implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly url: string;
  readonly startMs: number;

  private constructor(child: ChildProcess, url: string, startMs: number) {
    this.#child = child;
    this.url = url;
    this.startMs = startMs;
  }

  /** Starts one that prints the port it listens on, and waits for its first answer. */
  static async start([program, ...args]: readonly string[]): Promise<Server> {
    const started = performance.now();
    const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'inherit'], env: {} });
    try {
      const url = `http://127.0.0.1:${await listeningPort(child)}`;
      await (await fetch(`${url}/health`)).arrayBuffer();
      return new Server(child, url, performance.now() - started);
    } catch (error) {
      child.kill('SIGKILL');
      throw error;
    }
  }

  async settledMemory(): Promise<number> {
    await delay(SETTLE_MS);
    const [, kibibytes] = /^Private_Dirty:\s+([0-9]+) kB$/m.exec(
      readFileSync(`/proc/${this.#child.pid}/smaps_rollup`, 'utf8'),
    )!;
    return Number(kibibytes);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    this.#child.kill('SIGKILL');
    await once(this.#child, 'exit');
  }
}
