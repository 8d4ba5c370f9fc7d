// What a person reads when a server has started.
import type { RunningServer } from '@sandport/server/main';

export function printAddresses({ connection, settings }: RunningServer): void {
  console.log(`Sandport is running.

  API          ${connection.apiUrl}
  public URLs  https://PORT-SANDBOX.${connection.domain}
  runtime      ${settings.runtime}
  data         ${settings.data}
`);
}

/** @param data the directory as it was given, to be given again to the other commands */
export function printUsage({ connection }: RunningServer, data: string | undefined): void {
  const option = data === undefined ? '' : ` --data ${data}`;
  console.log(`Point the e2b SDK (npm, Python, CLI) or sandport at it, in another terminal in this directory:

  eval "$(npx sandport env${option})"

  which sets E2B_DOMAIN=${connection.domain}, E2B_API_KEY and the certificate to trust. Then, for instance:

  npx node examples/public-url.ts

Ctrl-C stops Sandport and removes what it started.`);
}
