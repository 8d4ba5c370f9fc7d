// sandport create: a new sandbox.
import { type Command, InvalidArgumentError } from 'commander';
import { Sandbox } from 'sandport';
import { clientCommand, type DataFlag, sdkOptions } from '../connection.ts';

interface CreateFlags extends DataFlag {
  readonly template: string;
  readonly timeout: number;
  readonly metadata?: Record<string, string>;
  readonly env?: Record<string, string>;
  readonly private?: boolean;
  readonly internet: boolean;
  readonly maskHost?: string;
}

export function addCreateCommand(program: Command): void {
  clientCommand(program, 'create')
    .description('create a sandbox and print its ID')
    .option('--template <name>', 'template ID or alias', 'base')
    .option('--timeout <seconds>', 'life of the sandbox', seconds, 300)
    .option('--metadata <key=value>', 'can be repeated', pair)
    .option('--env <key=value>', 'environment of every command; can be repeated', pair)
    .option('--private', 'public URLs answer only with the traffic access token')
    .option('--no-internet', 'nothing outside is reached from inside')
    .option('--mask-host <host>', 'Host that servers inside see, with ${PORT} for the port')
    .action(async (flags: CreateFlags) => {
      const sandbox = await Sandbox.create(flags.template, {
        ...(await sdkOptions(flags)),
        timeoutMs: flags.timeout * 1000,
        ...(flags.metadata && { metadata: flags.metadata }),
        ...(flags.env && { envs: flags.env }),
        ...(!flags.internet && { allowInternetAccess: false }),
        network: {
          ...(flags.private && { allowPublicTraffic: false }),
          ...(flags.maskHost !== undefined && { maskRequestHost: flags.maskHost }),
        },
      });
      console.log(sandbox.sandboxId);
      console.error(`its port 3000: ${sandbox.getUrl(3000)}`);
      if (sandbox.trafficAccessToken) console.error(`e2b-traffic-access-token: ${sandbox.trafficAccessToken}`);
    });
}

function seconds(value: string): number {
  if (!/^[1-9]\d{0,8}$/.test(value)) throw new InvalidArgumentError('expected seconds, 1 or more');
  return Number(value);
}

function pair(value: string, before: Record<string, string> = {}): Record<string, string> {
  const equals = value.indexOf('=');
  if (equals < 1) throw new InvalidArgumentError('expected KEY=VALUE');
  return { ...before, [value.slice(0, equals)]: value.slice(equals + 1) };
}
