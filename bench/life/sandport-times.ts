// Ours: what a program sees that pauses, resumes and forks a sandbox whose URL it asks.
import { setTimeout as delay } from 'node:timers/promises';
import { Sandbox } from 'sandport';
import { holdingServer, PORT } from './program.ts';

export interface LifeTimes {
  /** Milliseconds until the call returned. */
  readonly create: number;
  readonly pause: number;
  readonly kill: number;
  /** Milliseconds from the call to the first answer of the URL. */
  readonly resume: number;
  readonly fork: number;
  /** Milliseconds of one request to the URL of a paused sandbox. */
  readonly wake: number;
}

export async function lifeTimes(
  options: { apiKey: string; domain: string },
  megabytes: number,
  /** Waits until the server has done what it does in the background, with that many sandboxes that run. */
  untilIdle: (running: number) => Promise<void>,
): Promise<LifeTimes> {
  const before = performance.now();
  const sandbox = await Sandbox.create({ ...options, lifecycle: { onTimeout: 'pause', autoResume: true } });
  const create = performance.now() - before;
  try {
    const [, program] = holdingServer(megabytes);
    await sandbox.files.write('program.js', program!);
    await sandbox.commands.run('node program.js', { background: true, timeoutMs: 0 });
    await firstAnswer(sandbox);
    const pause = await timed(() => sandbox.pause());
    await untilIdle(0);
    const resume = await timed(async () => {
      await sandbox.connect();
      await firstAnswer(sandbox);
    });
    await sandbox.pause();
    await untilIdle(0);
    const wake = await timed(() => firstAnswer(sandbox));
    await untilIdle(1);
    let child: Sandbox | undefined;
    const fork = await timed(async () => {
      const [made] = await sandbox.fork();
      if (!(made instanceof Sandbox)) throw made;
      child = made;
      await firstAnswer(made);
    });
    const kill = await timed(() => child!.kill());
    return { create, pause, resume, wake, fork, kill };
  } finally {
    await sandbox.kill();
  }
}

async function timed(task: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await task();
  return performance.now() - started;
}

async function firstAnswer(sandbox: Sandbox): Promise<void> {
  for (;;) {
    const response = await fetch(sandbox.getUrl(PORT));
    const text = await response.text();
    if (response.ok && text.startsWith('holds')) return;
    await delay(2);
  }
}
