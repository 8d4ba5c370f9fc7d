// Starts the programs that take part, each on its processors, and reads what they use.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';

const START_MS = 15_000;
const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A server that runs until it is disposed of. */
export class ServerProcess implements AsyncDisposable {
  readonly child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess) {
    this.child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#output = (this.#output + chunk.toString()).slice(-4000);
      });
    }
  }

  /**
   * @param cores of `taskset --cpu-list`
   * @throws when the program ends, or does not listen on all of `addresses` in time
   */
  static async start(cores: string, command: readonly string[], addresses: readonly Address[]): Promise<ServerProcess> {
    const child = spawn('taskset', ['--cpu-list', cores, ...command], { stdio: ['ignore', 'pipe', 'pipe'] });
    const server = new ServerProcess(child);
    const failed = new Promise<never>((_, reject) => {
      child.once('error', reject);
      child.once('exit', (code) => reject(new Error(`${command[0]} ended with ${code}:\n${server.#output}`)));
    });
    try {
      for (const address of addresses) await Promise.race([untilListening(address), failed]);
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
    failed.catch(() => {});
    return server;
  }

  get pid(): number {
    return this.child.pid!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child } = this;
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    const children = childrenOf(child.pid);
    child.kill('SIGKILL');
    for (const pid of children) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It has ended with its parent.
      }
    }
    await exited;
  }
}

async function untilListening(address: Address): Promise<void> {
  const deadline = performance.now() + START_MS;
  for (;;) {
    const socket = connect({ ...address });
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    if (performance.now() > deadline) throw new Error(`nothing listens on ${address.host}:${address.port}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function childrenOf(pid: number): number[] {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number);
  } catch {
    return [];
  }
}

/** Processor time that these processes and their children have used so far, in seconds. */
export function cpuSeconds(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids.flatMap((one) => [one, ...childrenOf(one)])) {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name before the closing parenthesis may hold anything. Then: state, and from the 14th field on the times.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / TICKS_PER_SECOND;
}

/** Processor time that everything on the machine has used so far, in seconds. */
export function machineSeconds(): number {
  // Of all processors together: user, nice, system, idle, waiting for disks, interrupts, soft interrupts (proc_stat(5)).
  const [user, nice, system, , , hard, soft] = readFileSync('/proc/stat', 'utf8').match(/\d+/g)!.map(Number);
  return (user! + nice! + system! + hard! + soft!) / TICKS_PER_SECOND;
}

/** Memory that is these processes' own, with their share of what they share, in MiB. */
export function memoryMiB(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids.flatMap((one) => [one, ...childrenOf(one)])) {
    kib += Number(/^Pss:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0);
  }
  return kib / 1024;
}
