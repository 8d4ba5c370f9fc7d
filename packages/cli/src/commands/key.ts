// sandport key: API keys for others, each with a limit of its own.
import type { ApiKey, NewApiKey } from '@sandport/protocol/api';
import type { Command } from 'commander';
import { SandportError } from 'sandport';
import { clientCommand, connect, type DataFlag } from '../connection.ts';
import { wholeNumber } from './server-options.ts';

export function addKeyCommand(program: Command): void {
  const key = program.command('key').description('API keys for other programs and people');

  clientCommand(key, 'create <name>')
    .description('make a key and print it, the only time that it can be seen')
    .option(
      '--max-sandboxes <number>',
      'that run at once with this key (default: as many as there is room for)',
      wholeNumber,
    )
    .action(async (name: string, flags: DataFlag & { maxSandboxes?: number }) => {
      const { maxSandboxes } = flags;
      const made = (await call(flags, 'POST', '/api-keys', { name, maxSandboxes })) as NewApiKey;
      console.log(made.key);
    });

  clientCommand(key, 'list')
    .description('list keys, without what is secret')
    .action(async (flags: DataFlag) => {
      for (const one of (await call(flags, 'GET', '/api-keys')) as ApiKey[]) console.log(line(one));
    });

  clientCommand(key, 'revoke <id>')
    .description('revoke a key; sandboxes that were created with it go on')
    .action(async (id: string, flags: DataFlag) => {
      await call(flags, 'DELETE', `/api-keys/${encodeURIComponent(id)}`);
    });
}

function line({ id, name, mask, createdAt, maxSandboxes }: ApiKey): string {
  const limit = maxSandboxes === undefined ? '' : `at most ${maxSandboxes} sandboxes`;
  return [id, `${mask.prefix}...${mask.maskedValueSuffix}`, createdAt, name, limit].join('  ').trimEnd();
}

async function call(flags: DataFlag, method: string, path: string, body?: object): Promise<unknown> {
  const { apiUrl, apiKey } = await connect(flags);
  const response = await fetch(apiUrl + path, {
    method,
    headers: { 'X-API-Key': apiKey, 'Content-Type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: unknown = text === '' ? undefined : JSON.parse(text);
  if (response.ok) return answer;
  throw new SandportError(
    'bad_request',
    (answer as { message?: string } | undefined)?.message ?? `status ${response.status}`,
  );
}
