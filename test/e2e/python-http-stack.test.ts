// The HTTP libraries that the Python client is made of, against a sandbox: the client itself cannot be installed here.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Sandbox } from 'e2b';
import { agentAccess } from '../support/agent-access.ts';
import { runtimes } from '../support/machine.ts';
import { SandportServer } from '../support/sandport-server.ts';

/** The one that Debian's packages of the libraries belong to. */
const PYTHON = '/usr/bin/python3';
const PROGRAM = fileURLToPath(new URL('../support/python_http_stack.py', import.meta.url));

// What is sent and answered is the same under each runtime.
for (const runtime of runtimes.slice(-1)) {
  test(`httpx and httpcore upload, download and run commands under ${runtime}`, async () => {
    await using server = await SandportServer.start(runtime);
    const { apiUrl, apiKey, caPath } = server.connection;
    const sandbox = await Sandbox.create(server.options);
    const agent = await agentAccess(server, sandbox.sandboxId);
    const env = {
      API_URL: apiUrl,
      API_KEY: apiKey,
      AGENT_URL: agent.url,
      AGENT_TOKEN: agent.token,
      CA_FILE: caPath,
    };
    const { stderr } = await promisify(execFile)(PYTHON, ['-I', PROGRAM], { env, timeout: 120_000 });
    assert.equal(stderr, '');
    assert.deepEqual(await server.stop(), []);
  });
}
