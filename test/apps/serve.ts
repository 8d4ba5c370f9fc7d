import type { Sandbox } from 'sandport';
import { waitFor } from '../support/wait-for.ts';

/** Starts a server in a sandbox, and returns when it has printed that it is ready. */
export async function serve(
  sandbox: Sandbox,
  command: string,
  { ready, cwd, longestMs }: { readonly ready: RegExp; readonly cwd?: string; readonly longestMs: number },
): Promise<void> {
  let printed = '';
  const print = (text: string): void => {
    printed += text;
  };
  const options = { background: true, timeoutMs: 0, onStdout: print, onStderr: print, cwd } as const;
  await sandbox.commands.run(command, options);
  await waitFor(`${command} is ready`, () => ready.test(printed), longestMs);
}
