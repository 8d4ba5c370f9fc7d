// Ours: what a program sees that creates a sandbox, runs a command in it, and opens its URL.
import { setTimeout as delay } from 'node:timers/promises';
import { Sandbox } from 'sandport';

export interface CreationTimes {
  /** Milliseconds, each from the call of `Sandbox.create()` on. */
  readonly created: number;
  readonly firstByte: number;
  /** From the call that runs the same command once more, after a rest and over the same connection. */
  readonly nextByte: number;
  readonly firstAnswer: number;
}

/** Less than the client keeps an idle connection. */
const REST_MS = 2000;

export async function creationTimes(options: { apiKey: string; domain: string }): Promise<CreationTimes> {
  const started = performance.now();
  const sandbox = await Sandbox.create(options);
  try {
    const created = performance.now() - started;
    const firstByte = (await byteOfCommand(sandbox)) - started;
    // A sandbox that was started ahead of time has rested before its first command, and gVisor takes longer after a rest.
    await delay(REST_MS);
    const again = performance.now();
    const nextByte = (await byteOfCommand(sandbox)) - again;
    // A second clock for the server: what the command took is not its doing.
    const before = performance.now();
    await sandbox.commands.run('python -m http.server 3000', { background: true });
    const url = sandbox.getUrl(3000);
    for (let response = await fetch(url); !response.ok; response = await fetch(url)) {
      await response.body?.cancel();
      await delay(2);
    }
    return { created, firstByte, nextByte, firstAnswer: created + performance.now() - before };
  } finally {
    await sandbox.kill();
  }
}

/** When the first byte of its output came. */
async function byteOfCommand(sandbox: Sandbox): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>();
  await sandbox.commands.run('echo ready', { onStdout: () => resolve(performance.now()) });
  return promise;
}
