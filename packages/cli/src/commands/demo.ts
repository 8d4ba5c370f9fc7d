// sandport demo (npm run demo): every program in examples/, one after the other, against a real server.
import { spawn } from 'node:child_process';
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ConnectionFile } from '@sandport/server/connection-file';
import type { Command } from 'commander';
import { programEnvironment } from '../program-environment.ts';
import { trustAuthority } from '../trust.ts';
import { addServerOptions, type ServerFlags, serverOptions } from './server-options.ts';

const root = fileURLToPath(new URL('../../../../', import.meta.url));

export function addDemoCommand(program: Command): void {
  addServerOptions(program.command('demo'))
    .description('run the programs in examples/ against a running Sandport, or one started for them')
    .action(async (flags: ServerFlags) => {
      const { readSettings } = await import('@sandport/server/settings');
      const options = serverOptions(flags);
      const running = await runningServer(join(readSettings(options).data, 'connection.json'));
      if (running !== undefined) return runExamples(running);
      const { startServer } = await import('@sandport/server/main');
      const server = await startServer(options);
      try {
        await runExamples(server.connection);
      } finally {
        await server.close({ keep: false });
      }
    });
}

/** How to reach the server of this data directory, if one answers. */
async function runningServer(path: string): Promise<ConnectionFile | undefined> {
  try {
    const connection = JSON.parse(await readFile(path, 'utf8')) as ConnectionFile;
    await trustAuthority(connection.caPath);
    const { ok } = await fetch(`${connection.apiUrl}/health`);
    return ok ? connection : undefined;
  } catch {
    return undefined;
  }
}

async function runExamples(connection: ConnectionFile): Promise<void> {
  const failed: string[] = [];
  for (const file of globSync('examples/*.ts', { cwd: root }).sort()) {
    console.log(`\n--- ${file}`);
    const code = await runProgram(join(root, file), connection);
    console.log(code === 0 ? `--- ${file}: did what it promises` : `--- ${file}: FAILED with code ${code}`);
    if (code !== 0) failed.push(basename(file));
  }
  if (failed.length > 0) throw new Error(`${failed.join(', ')} failed`);
}

async function runProgram(file: string, connection: ConnectionFile): Promise<number | null> {
  const environment = { ...process.env, ...programEnvironment(connection) };
  const child = spawn(process.execPath, [file], { stdio: ['ignore', 'inherit', 'inherit'], env: environment });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', resolve);
  });
}
