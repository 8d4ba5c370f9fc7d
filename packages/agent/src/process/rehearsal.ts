// What a first command needs and later ones find: the library by which programs are started, the shell and its files.
import { once } from 'node:events';
import { findUser } from '../access/users.ts';
import { commandEnvironment } from './environment.ts';
import { launch } from './launch.ts';

/** Runs a login shell that does nothing. No error in an image without one. */
export async function rehearseCommand(root: string): Promise<void> {
  const user = findUser(root, 'root');
  if (user === undefined) return;
  const environment = commandEnvironment(user, new Map(), { envs: new Map(), pty: undefined });
  const program = { cmd: '/bin/bash', args: ['-l', '-c', 'true'], cwd: '/' };
  try {
    const launched = await launch({ ...program, environment, user, stdin: false, terminal: undefined });
    const outputs = launched.outputs.map(({ stream }) => once(stream.resume(), 'close'));
    await new Promise<void>((resolve) => launched.onExit(() => resolve()));
    await Promise.all(outputs);
  } catch {
    // The first command says it to the one who asks for it.
  }
}
