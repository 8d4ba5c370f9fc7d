// What the clients know of an MCP gateway (Model Context Protocol): where it answers, and what it asks for. No template
// of ours has one; here it is a server that a program in the sandbox starts at its place.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import * as e2b from 'e2b';
import * as sandport from 'sandport';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';
import { waitFor } from '../support/wait-for.ts';

const GATEWAY = `
import http.server
class Gateway(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        token = open("/etc/mcp-gateway/.token").read()
        allowed = self.headers["Authorization"] == "Bearer " + token
        self.send_response(200 if allowed else 401)
        self.end_headers()
        self.wfile.write(self.path.encode())
http.server.HTTPServer(("0.0.0.0", 50005), Gateway).serve_forever()
`;

describe('MCP', () => {
  let server: SandportServer;
  let sandbox: e2b.Sandbox;

  before(async () => {
    server = await SandportServer.start(runtimes.at(-1)!);
    sandbox = await e2b.Sandbox.create(server.options);
  });
  after(async () => {
    assert.deepEqual(await server.stop(), []);
  });

  test('without a gateway there is no token, and a template that has one is not offered', async () => {
    await assert.rejects(sandbox.getMcpToken(), e2b.FileNotFoundError);
    await assert.rejects(e2b.Sandbox.create({ ...server.options, mcp: {} }), /mcp-gateway/);
  });

  test('a gateway in the sandbox is found by its URL and token', async () => {
    await sandbox.files.write('/etc/mcp-gateway/.token', 'secret', { user: 'root' });
    await sandbox.files.write('gateway.py', GATEWAY);
    await sandbox.commands.run('exec python3 gateway.py', { background: true, user: 'root' });
    const official = await e2b.Sandbox.connect(sandbox.sandboxId, server.options);
    const own = await sandport.Sandbox.connect(sandbox.sandboxId, server.options);
    for (const client of [official, own]) {
      const headers = { authorization: `Bearer ${await client.getMcpToken()}` };
      const answer = await waitFor('the gateway answers', async () => {
        const response = await fetch(client.getMcpUrl(), { method: 'POST', headers });
        return response.ok ? response : undefined;
      });
      assert.equal(await answer.text(), '/mcp');
      assert.equal((await fetch(client.getMcpUrl(), { method: 'POST' })).status, 401);
    }
  });
});
