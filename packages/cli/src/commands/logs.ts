// sandport logs: what happened with a sandbox and in it, or the server's own log.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type Command, Option } from 'commander';
import { type SandboxLogLevel, SandportError } from 'sandport';
import { clientCommand, type DataFlag, dataDirectory } from '../connection.ts';
import { LineSplitter } from '../line-splitter.ts';
import { printSandboxLog } from '../sandbox-log.ts';
import { wholeNumber } from '../whole-number.ts';

const LOOK_MS = 250;

interface Flags extends DataFlag {
  readonly follow?: boolean;
  readonly server?: boolean;
  readonly number: number;
  readonly level: SandboxLogLevel;
  readonly json?: boolean;
}

export function addLogsCommand(program: Command): void {
  clientCommand(program, 'logs [id]')
    .description("print what happened with a sandbox and which commands ran in it; without an ID the server's log")
    .option('-f, --follow', 'go on with what comes from now on; ends with the sandbox')
    .option('-n, --number <number>', 'how many of the newest entries of a sandbox (0 to 1000)', wholeNumber, 1000)
    .addOption(
      new Option('--level <level>', 'of a sandbox only what is so grave')
        .choices(['debug', 'info', 'warn', 'error'])
        .default('debug'),
    )
    .option('--json', "a sandbox's entries as JSON lines")
    .option('--server', "the lines (JSON) of the server's log that name the sandbox")
    .action((id: string | undefined, flags: Flags) =>
      id === undefined || flags.server ? printServerLog(id, flags) : printSandboxLog(id, flags),
    );
}

async function printServerLog(id: string | undefined, flags: Flags): Promise<void> {
  const path = join(dataDirectory(flags), 'logs', 'server.log');
  const file = await open(path).catch((error: Error) => {
    throw new SandportError('connection_failed', `there is no log at ${path}`, { cause: error });
  });
  const lines = new LineSplitter();
  let position = 0;
  do {
    const { size } = await file.stat();
    if (size > position) {
      const stream = file.createReadStream({ start: position, end: size - 1, autoClose: false });
      position = size;
      for await (const bytes of stream) {
        for (const line of lines.push(bytes as Buffer)) if (belongs(line, id)) console.log(line);
      }
    }
    if (flags.follow) await delay(LOOK_MS);
  } while (flags.follow);
  await file.close();
}

function belongs(line: string, id: string | undefined): boolean {
  if (id === undefined) return true;
  try {
    return (JSON.parse(line) as { sandboxId?: unknown }).sandboxId === id;
  } catch {
    return false;
  }
}
