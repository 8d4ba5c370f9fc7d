// The environment of a command: later sources win, and nothing of the agent's own is inherited but its PATH.
import type { User } from '../access/users.ts';
import type { Start } from './messages.ts';

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function commandEnvironment(
  user: User,
  everywhere: ReadonlyMap<string, string>,
  { envs, pty }: Pick<Start, 'envs' | 'pty'>,
): NodeJS.ProcessEnv {
  // Without a prototype, so that a variable called __proto__ is only a variable.
  const environment: NodeJS.ProcessEnv = Object.create(null);
  environment.PATH = process.env.PATH || DEFAULT_PATH;
  environment.HOME = user.home;
  environment.USER = user.name;
  environment.LOGNAME = user.name;
  // What the clients' terminals are; they say so themselves, others may not.
  if (pty !== undefined) environment.TERM = 'xterm-256color';
  for (const [name, value] of everywhere) environment[name] = value;
  for (const [name, value] of envs) environment[name] = value;
  return environment;
}
