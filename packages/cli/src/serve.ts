// Runs a server in the foreground until a signal, and ends everything that it started.
import type { RunningServer } from '@sandport/server/main';
import type { ServerOptions } from '@sandport/server/settings';

export interface ServeOptions extends ServerOptions {
  /** Leave sandboxes, and the gateways that lead to them, running at the end. */
  readonly keep?: boolean | undefined;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Starts a server, calls `whenRunning`, and waits for a signal.
 *
 * @param whenRunning its failure ends the server too, and is thrown on
 */
export async function serve(
  options: ServeOptions,
  whenRunning: (server: RunningServer, stopped: AbortSignal) => Promise<void>,
): Promise<void> {
  const stop = new AbortController();
  const { promise: signalled, resolve: onSignal } = Promise.withResolvers<void>();
  const handler = (): void => {
    stop.abort();
    onSignal();
  };
  // Before the start: a signal that comes during it must not leave half of it behind.
  for (const signal of SIGNALS) process.on(signal, handler);
  try {
    const { startServer } = await import('@sandport/server/main');
    const server = await startServer(options);
    try {
      if (!stop.signal.aborted) await whenRunning(server, stop.signal);
      await signalled;
      const left = options.keep ? 'sandboxes go on' : 'ending every sandbox';
      process.stderr.write(`\nsandport: stopping, ${left}\n`);
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    } finally {
      await server.close({ keep: options.keep ?? false });
    }
  } finally {
    for (const signal of SIGNALS) process.off(signal, handler);
  }
}
