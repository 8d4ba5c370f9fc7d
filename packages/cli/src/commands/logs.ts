// sandport logs: the server's log, of all or of one sandbox.
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Command } from 'commander';
import { SandportError } from 'sandport';
import { clientCommand, type DataFlag, dataDirectory } from '../connection.ts';
import { LineSplitter } from '../line-splitter.ts';

const LOOK_MS = 250;

export function addLogsCommand(program: Command): void {
  clientCommand(program, 'logs [id]')
    .description("print the server's log (JSON lines), or the lines of one sandbox")
    .option('-f, --follow', 'go on with what is written from now on')
    .action(async (id: string | undefined, flags: DataFlag & { follow?: boolean }) => {
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
    });
}

function belongs(line: string, id: string | undefined): boolean {
  if (id === undefined) return true;
  try {
    return (JSON.parse(line) as { sandboxId?: unknown }).sandboxId === id;
  } catch {
    return false;
  }
}
