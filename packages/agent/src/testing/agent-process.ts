// Runs an agent as a process of its own for a test, with a temporary directory in place of the system's files.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AgentInit } from '@sandport/protocol/agent-init';
import { AgentClient } from './agent-client.ts';

const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const KEEP_COMPILED = new URL('keep-compiled.ts', import.meta.url).href;
export const CONTROL_TOKEN = 'control-token-of-the-test';

export interface TestAgent extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  /** Stands before /etc, and holds the homes. */
  readonly root: string;
  readonly client: AgentClient;
  /** Home of `user`, uid 1000. */
  readonly home: string;
  /** Memory that is the agent's alone, in bytes. */
  privateMemory(): number;
  init(changes?: Partial<AgentInit>, controlToken?: string): Promise<Response>;
}

/** Starts an agent that knows the users `root` and `user` (1000, also in the groups 27 and 998). */
export async function startUninitialisedAgent(): Promise<TestAgent> {
  const directory = makeRoot();
  const { path: root, home } = directory;
  const child = spawn(
    process.execPath,
    ['--import', KEEP_COMPILED, MAIN, '--port', '0', '--host', '127.0.0.1', '--root', root],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const port = await listeningPort(child);
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    port,
    pid: child.pid!,
    root,
    home,
    client: new AgentClient(url),
    privateMemory: () => privateMemory(child.pid!),
    init: (changes = {}, controlToken) => {
      const headers: Record<string, string> = controlToken === undefined ? {} : { 'x-control-token': controlToken };
      const body = JSON.stringify({ ...initOf(root), ...changes });
      return fetch(`${url}/init`, { method: 'POST', headers, body });
    },
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      directory[Symbol.dispose]();
    },
  };
}

export async function startAgent(changes: Partial<AgentInit> = {}): Promise<TestAgent> {
  const agent = await startUninitialisedAgent();
  const answer = await agent.init(changes);
  if (answer.status !== 204) throw new Error(`init: ${answer.status} ${await answer.text()}`);
  return agent;
}

/** What the tests' host tells the agent. */
export function initOf(root: string): AgentInit {
  return {
    controlToken: CONTROL_TOKEN,
    sandboxId: 'i0123456789abcdefghij',
    templateId: 'base',
    envVars: {},
    defaultUser: 'root',
    defaultWorkdir: root,
    hostname: 'sandbox',
    nameservers: ['192.0.2.53'],
    domain: 'box.test:8443',
    now: 1_800_000_000_000,
  };
}

export interface TestRoot extends Disposable {
  readonly path: string;
  /** Home of `user`. */
  readonly home: string;
}

/** A directory that stands before /etc, with the users of `startUninitialisedAgent`. */
export function makeRoot(): TestRoot {
  const path = mkdtempSync(join(tmpdir(), 'sandport-agent-'));
  const home = join(path, 'home');
  mkdirSync(join(path, 'etc'));
  mkdirSync(home);
  chmodSync(path, 0o755);
  if (process.getuid?.() === 0) chownSync(home, 1000, 1000);
  writeFileSync(join(path, 'etc/passwd'), `root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:A user:${home}:/bin/sh\n`);
  writeFileSync(join(path, 'etc/group'), 'root:x:0:\nsudo:x:27:other,user\nuser:x:1000:user\nmore:x:998:user\n');
  return { path, home, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** Waits until the agent says where it listens. */
export async function listeningPort(child: ChildProcess): Promise<number> {
  let text = '';
  for await (const chunk of child.stdout!) {
    text += String(chunk);
    const match = /^listening on port ([0-9]+)\n/.exec(text);
    if (match !== null) return Number(match[1]);
  }
  throw new Error(`the agent did not start: ${text}`);
}

function privateMemory(pid: number): number {
  return Number(/^RssAnon:\s+([0-9]+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) * 1024;
}
