// The agent's command line. In a sandbox it is started without arguments; the others are for tests.
import { AGENT_PORT } from '@sandport/protocol/agent-port';

export interface AgentOptions {
  /** 0 means any free one. */
  readonly port: number;
  /** Address to listen on; absent means every address of IPv4 and IPv6. */
  readonly host: string | undefined;
  /** Stands before the system files that the agent reads and writes. */
  readonly root: string;
}

/** Reads `--port N`, `--host ADDRESS` and `--root DIRECTORY`. @throws Error on anything else */
export function readOptions(args: readonly string[]): AgentOptions {
  const values = new Map([
    ['--port', String(AGENT_PORT)],
    ['--root', '/'],
  ]);
  for (let at = 0; at < args.length; at += 2) {
    const [name, value] = [args[at]!, args[at + 1]];
    if (!['--port', '--host', '--root'].includes(name)) throw new Error(`unknown option ${name}`);
    if (value === undefined) throw new Error(`${name} needs a value`);
    values.set(name, value);
  }
  const port = Number(values.get('--port'));
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw new Error(`--port ${values.get('--port')} is no port`);
  return { port, host: values.get('--host'), root: values.get('--root')! };
}
