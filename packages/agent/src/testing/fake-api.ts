// The few answers of the REST API that the e2b client wants before it talks to an agent.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { AGENT_PROTOCOL_VERSION } from '@sandport/protocol/agent-port';

export interface FakeApi extends AsyncDisposable {
  readonly url: string;
}

/** An API that knows one sandbox, which always runs. */
export async function startFakeApi(sandboxId: string, accessToken: string): Promise<FakeApi> {
  const server = createServer((request, response) => {
    request.resume();
    const sandbox = {
      sandboxID: sandboxId,
      templateID: 'base',
      clientID: 'test',
      envdVersion: AGENT_PROTOCOL_VERSION,
      envdAccessToken: accessToken,
      domain: 'box.test',
    };
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(sandbox));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
