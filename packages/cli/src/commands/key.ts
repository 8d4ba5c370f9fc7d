// sandport key: API keys for others, each with a limit of its own.
import type { ApiKey, NewApiKey } from '@sandport/protocol/api';
import type { Command } from 'commander';
import { callApi } from '../call-api.ts';
import { clientCommand, type DataFlag } from '../connection.ts';
import { wholeNumber } from '../whole-number.ts';

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
      const made = (await callApi(flags, 'POST', '/api-keys', { name, maxSandboxes })) as NewApiKey;
      console.log(made.key);
    });

  clientCommand(key, 'list')
    .description('list keys, without what is secret')
    .action(async (flags: DataFlag) => {
      for (const one of (await callApi(flags, 'GET', '/api-keys')) as ApiKey[]) console.log(line(one));
    });

  clientCommand(key, 'revoke <id>')
    .description('revoke a key; sandboxes that were created with it go on')
    .action(async (id: string, flags: DataFlag) => {
      await callApi(flags, 'DELETE', `/api-keys/${encodeURIComponent(id)}`);
    });
}

function line({ id, name, mask, createdAt, maxSandboxes }: ApiKey): string {
  const limit = maxSandboxes === undefined ? '' : `at most ${maxSandboxes} sandboxes`;
  return [id, `${mask.prefix}...${mask.maskedValueSuffix}`, createdAt, name, limit].join('  ').trimEnd();
}
